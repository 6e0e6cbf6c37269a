"""Whatever a test has the dashboard do: the line it notes for a shell must be a right one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.tui.command_log import CommandLog
from tests.shelled import parsed


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
