"""The runtime's log file: bounded, private, and no reason to stop."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pylon import limits
from pylon.supervisor.runtime_log import RuntimeLog, open_log


def test_a_full_file_is_set_aside_and_the_one_before_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is printed, there are two files of about the limit, the newest lines in one."""
    monkeypatch.setattr(limits, "RUNTIME_LOG_BYTES_MAX", 100)
    path = tmp_path / "runtime.log"
    log = RuntimeLog(path)
    for number in range(1_000):
        log.write(b"line %03d\n" % number)
    log.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["runtime.log", "runtime.log.1"]
    assert all(one.stat().st_size < 110 for one in tmp_path.iterdir())
    assert path.read_bytes().endswith(b"line 999\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_start_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """What the run before said is still there."""
    path = tmp_path / "runtime.log"
    for text in (b"first\n", b"second\n"):
        log = RuntimeLog(path)
        log.write(text)
        log.close()
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_disk_without_room_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    """/dev/full takes no byte: writing to it raises nothing."""
    path = tmp_path / "runtime.log"
    path.symlink_to("/dev/full")
    log = RuntimeLog(path)
    log.write(b"lost\n")
    log.write(b"lost too\n")
    log.close()


def test_a_folder_that_is_gone_is_said_at_once(tmp_path: Path) -> None:
    """To open is another thing than to write: a start without its folder is a mistake of ours."""
    with pytest.raises(FileNotFoundError):
        os.close(open_log(tmp_path / "nowhere" / "runtime.log"))
