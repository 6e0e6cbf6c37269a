"""A file of the dashboard's own: its path as somebody types it; whole, or not there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from pylon.tui.export import OwnFile, typed_path


def test_the_home_of_nobody_is_a_name_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` leads home; `~nosuchuser` does not, and ends nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/out.csv") == tmp_path / "out.csv"
    assert OwnFile.objection("~/out.csv") == ""
    assert typed_path("~nosuchuser/out.csv") == Path("~nosuchuser/out.csv")
    assert OwnFile.objection("~nosuchuser/out.csv") == "there is no folder ~nosuchuser"


async def test_a_file_whose_end_has_no_room_does_not_stay(tmp_path: Path) -> None:
    """What is written last is found to have no place only as the file is closed."""
    path = tmp_path / "rows.csv"

    async def fill(target: BinaryIO) -> None:
        target.write(b"id\n")
        os.close(target.fileno())

    with pytest.raises(OSError, match="Bad file descriptor"):
        await OwnFile(path).write(fill)
    assert not path.exists()


async def test_a_file_that_is_given_up_does_not_stay(tmp_path: Path) -> None:
    """Whoever leaves amid an export finds no half of one."""
    path = tmp_path / "rows.csv"
    begun = asyncio.Event()

    async def fill(target: BinaryIO) -> None:
        target.write(b"id\n")
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(OwnFile(path).write(fill))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not path.exists()


async def test_a_file_is_for_its_owner_and_replaces_nothing(tmp_path: Path) -> None:
    """Its size is told; a second one of the name is refused."""
    path = tmp_path / "rows.csv"

    async def fill(target: BinaryIO) -> None:
        target.write(b"id\n1\n")

    assert await OwnFile(path).write(fill) == 5
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        await OwnFile(path).write(fill)
    assert path.read_bytes() == b"id\n1\n"
