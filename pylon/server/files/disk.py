"""Where files lie on disk: by the hash of their bytes, and on their way in by a name of our own.

All of it blocks: it is called on the threads of the store (`store`), never on the loop.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pylon import limits_files, paths
from pylon.errors import Unavailable

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
#: The ending of a copy in `tmp/` that is to stand in the place of what it is a copy of.
PART: Final = ".part"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DiskBlobs:
    """The bytes of files, by hash, below a folder: whole and synced, or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Return where bytes lie; a hash is the only part that is not ours."""
        if not _HASH.match(sha256):  # no assertion: it would be gone under -O
            raise ValueError("files are named by hashes only")
        return self.folder / sha256[:2] / sha256

    def publish(self, temporary: Path, sha256: str) -> None:
        """Give bytes, synced before, a name at their place; those that lie there are the same.

        The temporary name stays until the database knows the file: else a piece that failed at the
        last moment could not be sent again.
        """
        path = self.path(sha256)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.stat().st_size != temporary.stat().st_size:  # it was damaged
                temporary.replace(path)
        except OSError:  # a file system without second names
            temporary.replace(path)
        paths.sync_folder(path.parent)
        paths.sync_folder(self.folder)

    def size(self, sha256: str) -> int | None:
        """Return how many bytes lie under a hash, or None."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, sha256: str) -> None:
        """Remove bytes; those that are being read are read to their end."""
        self.path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, int]]:
        """Yield (hash, size) of what is there."""
        for folder in sorted(self.folder.glob("??")):
            for path in folder.iterdir():
                if _HASH.match(path.name):
                    yield path.name, path.stat().st_size


def prepare_folder(folder: Path) -> None:
    """Make a folder that only its owner enters."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


class Writing:
    """A file on its way in: appended to, hashed on the way, readable by its owner only."""

    def __init__(self, path: Path, *, is_new: bool = True) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self.path = path
        self._flags = flags
        self._descriptor = os.open(path, flags | (os.O_EXCL if is_new else 0), 0o600)
        self.size = 0
        self._hash = hashlib.sha256()

    def resume(self, size: int) -> None:
        """Go on behind the first `size` bytes, hashed anew from the disk; the rest is cut off.

        Where they are not all there, as after a restore, behind those that are.
        """
        found = os.fstat(self._descriptor)
        if found.st_nlink > 1:  # a killed process had given it its place: another file may be it
            self._part()
        os.ftruncate(self._descriptor, min(size, found.st_size))
        while chunk := os.pread(self._descriptor, limits_files.FILE_CHUNK_BYTES, self.size):
            self._hash.update(chunk)
            self.size += len(chunk)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)

    def _part(self) -> None:
        """Have the bytes to oneself, whatever other names they have."""
        part = self.path.with_name(f"{self.path.name}{PART}")
        shutil.copyfile(self.path, part)
        part.chmod(0o600)
        part.replace(self.path)
        self.close()
        self._descriptor = os.open(self.path, self._flags & ~os.O_EXCL, 0o600)

    def open_again(self) -> None:
        """Open what was closed, to go on where it ended."""
        self._descriptor = os.open(self.path, self._flags, 0o600)
        os.ftruncate(self._descriptor, self.size)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)

    def append(self, data: bytes) -> None:
        """Append bytes; raises Unavailable where the disk has no room for them.

        It is asked for each: of what many bring at once nobody knew as they began.
        """
        demand_room(self.path.parent, len(data))
        view = memoryview(data)
        try:
            while view:
                written = os.write(self._descriptor, view)
                self._hash.update(view[:written])
                self.size += written
                view = view[written:]
        except OSError as error:
            raise as_unavailable(error) from error

    def sync(self) -> None:
        """Have what was appended survive a loss of power."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise as_unavailable(error) from error

    def sha256(self) -> str:
        """Return the hash of all bytes so far."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close it; the file stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Close and remove it."""
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def demand_room(folder: Path, length: int) -> None:
    """Raise Unavailable where the disk has no room for so many bytes and some to work with."""
    if shutil.disk_usage(folder).free < length + limits_files.FILE_ROOM_BYTES:
        raise disk_full()


def disk_full() -> Unavailable:
    """Return what an upload is answered that the disk has no room for."""
    return Unavailable("the disk is full; nothing was stored", reason="disk_full")


def as_unavailable(error: OSError) -> Unavailable:
    """Return what a failed write is answered with."""
    if error.errno in _FULL:
        return disk_full()
    return Unavailable("the file could not be written", reason="files")


def read_at(descriptor: int, start: int, end: int) -> bytes:
    """Return at most a chunk of an open file."""
    return os.pread(descriptor, min(limits_files.FILE_CHUNK_BYTES, end - start), start)


def open_for_reading(path: Path) -> int:
    """Open a file; returns its descriptor."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))


def close(descriptor: int) -> None:
    """Close an open file."""
    os.close(descriptor)


def unlink(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)
