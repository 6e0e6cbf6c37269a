"""Backups off the machine: two that are sent at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typing_extensions import override

from pylon import jsonvalue
from pylon.server.backups.places import FolderPlace, fetch, send
from pylon.server.backups.prover import sha256_of
from pylon.server.files.copying import beside
from pylon.server.storage.backup import BackupFailed

BYTES = b"a photo"
HASH = hashlib.sha256(BYTES).hexdigest()


def _backup(folder: Path, name: str) -> Path:
    file = folder / f"{name}.db"
    file.write_bytes(name.encode())
    blob = beside(file) / HASH[:2] / HASH
    blob.parent.mkdir(parents=True)
    blob.write_bytes(BYTES)
    return file


async def test_two_that_hold_the_same_file_do_not_tear_it(tmp_path: Path) -> None:
    """One is cut off while it writes what the other has just read back."""
    there = tmp_path / "there"
    there.mkdir()
    first, second = _backup(tmp_path, "first"), _backup(tmp_path, "second")
    url = there.as_uri()

    class Cut(FolderPlace):
        @override
        async def put(self, source: Path, name: str) -> None:
            (there / name).write_bytes(BYTES[:2])
            raise BackupFailed("cut off")

    class Between(FolderPlace):
        @override
        async def rename(self, name: str, final: str) -> None:
            if final.startswith("files/"):
                with pytest.raises(BackupFailed, match="cut off"):
                    await send(Cut(url, there), second, sha256_of(second), b"{}")
            await super().rename(name, final)

    await send(Between(url, there), first, sha256_of(first), b"{}")
    assert (there / "files" / HASH).read_bytes() == BYTES
    assert (there / "first.json").is_file()
    assert not (there / "second.json").exists()


async def test_what_cannot_be_written_here_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """A full disk, or no folder at all: a refusal that says where."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    first = _backup(tmp_path, "first")
    place = FolderPlace(there.as_uri(), there)
    record = jsonvalue.encode({"at_ms": 1, "sha256": sha256_of(first), "files": {"bytes": 1}})
    await send(place, first, sha256_of(first), record)
    with pytest.raises(BackupFailed, match="here cannot be written"):
        await fetch(place, "first", here)
    assert not here.exists()
