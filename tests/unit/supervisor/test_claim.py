"""What a supervisor writes down of itself, and a disk that takes nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pylon import paths
from pylon.supervisor.claim import Claim, Record, last_record


def _record() -> Record:
    return Record(pid=1, started_ms=1, mode="serve", host="127.0.0.1", port=0, state="starting")


def _full(path: Path, data: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_disk_keeps_nobody_from_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be told is told the next time, also where nothing new has come since."""
    claim = Claim(tmp_path)
    claim.take()
    try:
        claim.tell(_record())
        with monkeypatch.context() as full:
            full.setattr(paths, "write_private", _full)
            claim.tell(state="failed")
            assert claim.record is not None
            assert claim.record.state == "failed"
        before = last_record(tmp_path)
        assert before is not None
        assert before.state == "starting"
        claim.tell()
        after = last_record(tmp_path)
        assert after is not None
        assert after.state == "failed"
    finally:
        claim.release()


def test_a_start_that_can_tell_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would not find it: that is for whoever starts it to know."""
    claim = Claim(tmp_path)
    claim.take()
    monkeypatch.setattr(paths, "write_private", _full)
    try:
        with pytest.raises(OSError, match="No space left"):
            claim.tell(_record())
    finally:
        claim.release()
