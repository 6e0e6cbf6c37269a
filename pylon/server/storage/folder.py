"""The folder `.pylon`: owner-only whatever the umask, and one owner at a time.

The lock is a `flock` held for the life of the process on a file that is never removed; the pid in
it is for the message only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pylon.errors import PylonError
from pylon.paths import take_lock

DATABASE_NAME: Final = "app.db"
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class FolderInUse(PylonError):
    """Another runtime owns this project's data."""

    code = "FOLDER_IN_USE"
    http_status = 503


def tighten(folder: Path) -> None:
    """Create a data folder, or tighten it, so that only its owner reads it."""
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(_FOLDER_MODE)


def prepare_folder(folder: Path) -> None:
    """Create the folder of a database, or tighten it, so that only its owner reads either."""
    tighten(folder)
    path = folder / DATABASE_NAME
    # SQLite gives -wal and -shm the mode of the main file, so it must be right from the start.
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, _FILE_MODE)
    os.close(descriptor)
    for one in (path, *folder.glob(f"{DATABASE_NAME}-*")):
        with suppress(FileNotFoundError):
            one.chmod(_FILE_MODE)


class FolderLock:
    """The one owner of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock; raises FolderInUse naming the holder."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
        if not take_lock(descriptor, waits=False):
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderInUse(
                f"{self._path.parent} is in use by another runtime (process {holder})",
                hint="stop that one first, or attach to it: pylon",
                holder=holder,
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a data folder for the block; raises FolderInUse where a runtime has it."""
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    lock = FolderLock(folder)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def demand_free(folder: Path) -> None:
    """Raise FolderInUse where another runtime owns a data folder."""
    lock = FolderLock(folder)
    lock.take()
    lock.release()
