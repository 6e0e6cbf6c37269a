"""Whatever a test has the dashboard do: the line it notes for a shell must be a right one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import textual._wait

from pylon.tui.command_log import CommandLog
from tests.screens.pressing import Ledger
from tests.shelled import parsed

#: After a key Textual looks in steps of so many seconds whether all is quiet; a test that presses
#: hundreds of them waits by itself for what comes.
_QUIET_SECONDS = 0.004


@pytest.fixture(autouse=True)
def no_line_lies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Hold each noted command against the real ones, with a project and without."""
    noted: list[str] = []
    note = CommandLog.note

    def noting(self: CommandLog, what: str, command: str) -> None:
        note(self, what, command)
        noted.append(command)

    monkeypatch.setattr(CommandLog, "note", noting)
    yield noted
    elsewhere = CommandLog(lambda: "", lambda: None)
    elsewhere.project = Path("/a project")
    for command in noted:
        assert parsed(command) == parsed(elsewhere.whole(command))


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return a ledger of what keys do, and have each take no longer than it must."""
    monkeypatch.setattr(textual._wait, "SLEEP_GRANULARITY", _QUIET_SECONDS)
    monkeypatch.setattr(textual._wait, "SLEEP_IDLE", _QUIET_SECONDS / 4)
    return Ledger(monkeypatch)
