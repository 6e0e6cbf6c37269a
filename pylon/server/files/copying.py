"""The bytes of files beside a copy of a database: `FILE.files` goes with `FILE`.

Bytes never change under their hash, so a copy on the same disk is a second name and costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylon import limits_files, paths
from pylon.printable import refusal_words
from pylon.server.files.disk import DiskBlobs
from pylon.server.storage import files
from pylon.server.storage.backup import BackupFailed, opened, sync_file


@dataclass(frozen=True, slots=True)
class Copied:
    """How many contents of files a copy has, and how large they are."""

    contents: int
    bytes: int


def beside(file: Path) -> Path:
    """Return where the bytes of a database copy's files lie."""
    return file.with_name(f"{file.name}.files")


def blobs_of(data: Path) -> Path:
    """Return where the bytes of a project's files lie."""
    return data / "files" / "blobs"


async def hashes_in(database: Path) -> dict[str, int]:
    """Return the sizes by hash of the files that a database knows."""
    async with opened(database, is_live=True) as reader:
        return await reader.run(files.hashes_of_any)


def copy_blobs(sources: Iterable[Path], target: Path, wanted: Mapping[str, int]) -> Copied:
    """Have a folder hold the bytes of these hashes, each taken from the first source that has it.

    Raises BackupFailed where bytes are missing in all of them, or can't be copied.
    """
    places = [DiskBlobs(one) for one in sources]
    into = DiskBlobs(target)
    for sha256, size in wanted.items():
        if into.size(sha256) == size:
            continue
        source = next((one for one in places if one.size(sha256) == size), None)
        if source is None:
            raise BackupFailed(
                f"the bytes of a file are missing: {sha256}", hint="`pylon files verify` lists all"
            )
        try:
            _put(source.path(sha256), into.path(sha256))
        except OSError as error:
            raise BackupFailed(f"the files could not be copied: {refusal_words(error)}") from error
    for folder in (*target.glob("??"), target, target.parent):
        if folder.is_dir():
            paths.sync_folder(folder)
    return Copied(len(wanted), sum(wanted.values()))


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # damaged: another size
    try:
        os.link(source, target)
    except OSError:  # another disk
        partial = target.with_name(f"{target.name}.part")
        shutil.copyfile(source, partial)
        partial.chmod(0o600)
        sync_file(partial)
        partial.replace(target)


def faults_of(folder: Path, wanted: Mapping[str, int]) -> Iterator[str]:
    """Say which bytes are missing in a folder, or not what their hash says; reads all of them."""
    blobs = DiskBlobs(folder)
    for sha256, size in wanted.items():
        found = blobs.size(sha256)
        if found is None:
            yield f"the bytes of a file are missing: {sha256}"
        elif found != size or _hash(blobs.path(sha256)) != sha256:
            yield f"the bytes of a file are damaged: {sha256}"


def _hash(path: Path) -> str:
    found: Any = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(limits_files.FILE_CHUNK_BYTES):
            found.update(chunk)
    return str(found.hexdigest())
