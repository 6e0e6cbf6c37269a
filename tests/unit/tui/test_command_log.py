"""Commands as they stand in the log: whole in any folder, whatever is in their words."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pylon.tui.command_log import CommandLog
from pylon.tui.user_actions import invited_words
from pylon.tui.warping import told


def _log() -> CommandLog:
    log = CommandLog(lambda: "2026-11-30T12:00:00.000Z", lambda: None)
    log.project = Path("/srv/my chat")
    return log


def test_an_address_with_an_apostrophe_is_one_word_of_its_command() -> None:
    """It is a good address; what was done is noted, and the line can be pasted."""
    made = {"email": "o'brien@example.com", "roles": ["team lead"], "url": "https://a.example/x"}
    log = _log()
    log.note_said("invite", invited_words(made, is_dev=True))
    (done,) = log.done
    assert shlex.split(done.line) == [
        "pylon", "users", "invite", "o'brien@example.com", "--role", "team lead",
        "--project", "/srv/my chat",
    ]  # fmt: skip


def test_a_time_with_a_space_is_one_word() -> None:
    """As `pylon clock` takes it."""
    found = {"now": "2026-12-24T09:00:00.000Z", "last": None}
    (line,) = [one for one in told(found, "2026-12-24 09:00Z").splitlines() if one[:1] == "$"]
    assert shlex.split(line)[-1] == "2026-12-24 09:00Z"


@pytest.mark.parametrize("odd", ["pylon rows edit Note it's", 'pylon sql "', "pylon", ""])
def test_no_line_is_too_odd_to_be_noted(odd: str) -> None:
    """A quotation mark that nobody closes is no reason to end."""
    log = _log()
    log.note("odd", odd)
    assert log.done[0].line.endswith("--project '/srv/my chat'")
