"""A folder elsewhere into which others may write, too."""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from pylon.server.backups.places import open_place
from pylon.server.buckets import Keys
from pylon.server.storage.backup import BackupFailed


@pytest.mark.parametrize("is_link", [True, False])
async def test_nothing_is_written_into_what_others_laid_there(
    tmp_path: Path, *, is_link: bool
) -> None:
    """A link would have a file of ours written over; a file of theirs they could read on."""
    there, mine, source = tmp_path / "there", tmp_path / "mine", tmp_path / "source"
    there.mkdir()
    mine.write_text("mine")
    source.write_text("everybody's rows")
    laid = there / "b.db.partial"
    if is_link:
        laid.symlink_to(mine)
    else:
        laid.touch(0o666)
    with laid.open() as held:
        await open_place(there.as_uri(), Keys()).put(source, laid.name)
        assert "everybody" not in held.read()
    assert mine.read_text() == "mine"
    assert laid.read_text() == "everybody's rows"
    assert not laid.is_symlink()
    assert stat.S_IMODE(laid.stat().st_mode) == 0o600


async def test_a_full_disk_elsewhere_keeps_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the room that was not enough, with each try once more."""
    source = tmp_path / "source"
    source.write_text("everybody's rows")

    def filled(out: Any, into: Any, _: int) -> None:
        into.write(out.read(4))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", filled)
    there = tmp_path / "there"
    there.mkdir()
    with pytest.raises(BackupFailed, match="No space left"):
        await open_place(there.as_uri(), Keys()).put(source, "b.db.partial")
    assert list(there.iterdir()) == []
