"""The Backups screen: what is proven, and what each key asks for before it does anything."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from pylon.testing.grid import grid, shown
from tests.screens.fakes import AT, ScriptedAdmin, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]


def _backup(name: str, **changed: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": "scheduled", "at": AT, "age_s": 7_200, "state": "proven", "why": "",
        "bytes": 262_144, "sha256": "ab", "epoch": "e", "head": 12, "rows": 34,
        "tables": {"Note": 34, "_pylon_log": 50}, "files": {"contents": 2, "bytes": 9},
        "took_ms": 800, "proven_at": AT, "away": [], **changed,
    }  # fmt: skip


def _backups(*found: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "backups": list(found), "proven_at": AT, "proven_age_s": 10_900, "last": "b",
        "last_state": "proven", "why": "", "schedule": "daily at 03:00 UTC", "doing": None,
        "next_at": AT, "folder": "/p", "keep_daily": 7, "keep_weekly": 4, "to": "",
        "restore_failed": None, **changed,
    }  # fmt: skip


GOOD = _backup("backup-one")
BAD = _backup("backup-two", state="failed", why=f"no room {NASTY}", kind="hand", proven_at=None)


async def _open(app: Any, admin: ScriptedAdmin, pilot: Any, **more: Any) -> None:
    admin.answers.setdefault("admin/backups", _backups(GOOD, BAD))
    admin.say(status(backup=_backups(), **more))
    await until(app, lambda text: "head 0" in text)
    await pilot.press("B")
    await until(app, lambda text: "1/2" in text and "✓ proven" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_backups_are_shown_with_what_they_are_worth(size: tuple[int, int]) -> None:
    """The header and the screen say how old the last proven one is, by sign and word."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        await _seen(app, "Backups", "✓ proven 3 h ago", "daily at 03:00 UTC", "✗ failed", "2 h")
        lines = grid(app)
        assert "✓ proven 3 h ago" in lines[0]
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("G", "enter")
        text = await _seen(app, "no room", "rows by table", "Note")
        assert "\x1b[31m" not in text


async def test_nothing_is_ever_proven_by_silence() -> None:
    """The header says so, in a word."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/backups"] = _backups(proven_at=None, proven_age_s=None)
        admin.say(status(backup=_backups(proven_at=None, proven_age_s=None, last_state="failed")))
        await until(app, lambda text: "? no proven backup" in text and "✗ backup failed" in text)
        await pilot.press("B")
        await _seen(app, "There is no backup yet", "? never proven")


async def test_restoring_wants_the_name_of_the_backup() -> None:
    """Another text is refused; with the name it is asked for, and the new epoch is waited for."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        epochs = iter(["e", "e", "new", "new"])
        admin.answers["admin/status"] = lambda _: {"epoch": next(epochs)}
        admin.answers["admin/backups/backup-one/restore"] = {"name": "backup-one", "doing": None}
        await pilot.press("g", "R")
        await _seen(app, "Restore backup-one?", "type its name: everybody signs in again")
        await pilot.press(*"backup", "enter")
        await _seen(app, "that is not backup-one")
        await pilot.press(*"-one", "enter")
        await until(app, lambda text: "the app is as backup-one was" in text)
        asked = [given for path, given in admin.asked if path.endswith("/restore")]
        assert asked == [{"confirm": "backup-one"}]


async def test_a_restore_that_changed_nothing_is_not_said_to_be_done() -> None:
    """The app answers all the while, of the lineage it was: only another one is what was there."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/status"] = {"epoch": "e1"}
        await _open(app, admin, pilot)
        admin.answers["admin/backups/backup-one/restore"] = {"name": "backup-one", "doing": None}
        failed = {"name": "backup-one", "why": "its copy is damaged"}
        admin.answers["admin/backups"] = _backups(GOOD, BAD, restore_failed=failed)
        await pilot.press("g", "R")
        await _seen(app, "Restore backup-one?")
        await pilot.press(*"backup-one", "enter")
        await _seen(app, "nothing was changed: its copy is damaged")
        assert "the app is as backup-one was" not in shown(app)


async def test_a_copy_that_did_not_leave_is_not_said_to_be_sent() -> None:
    """The backup is as good as it was, and still here alone."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        away = [{"to": "file:///mnt/disk", "state": "failed", "why": "no such folder there"}]
        admin.answers["admin/backups/backup-one/send"] = {"name": "backup-one"}
        admin.answers["admin/backups/backup-one"] = {**GOOD, "away": away}
        await pilot.press("g", "s")
        await _seen(app, "Send backup-one to")
        await pilot.press(*"file:///mnt/disk", "enter")
        await _seen(app, "✗ send backup-one: failed", "no such folder there")


async def test_production_is_read_only_until_it_is_unlocked() -> None:
    """Restoring and dropping; making one takes nothing away."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot, environment="production")
        await _seen(app, "READ-ONLY (W)")
        await pilot.press("g", "D")
        await _seen(app, "PRODUCTION is read-only here")
        await pilot.press("W")
        await _seen(app, "Allow changes to")
        await pilot.press("y")
        await until(app, lambda text: "READ-ONLY" not in text)
        await pilot.press("D")
        await _seen(app, "Drop backup-one for good?")
        admin.answers["admin/backups/backup-one/drop"] = GOOD
        await pilot.press(*"backup-one", "enter")
        await until(app, lambda text: "backup-one is gone" in text)


async def test_a_backup_is_made_and_its_command_told() -> None:
    """While it is made the screen says what is done; a failure has its reason."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        doing = {"what": "being proven", "name": "backup-three", "since": AT}
        # What is asked and what is begun have one path.
        admin.answers["admin/backups"] = {
            **_backups(GOOD, BAD, doing=doing),
            "name": "backup-three",
        }
        states = iter([{"state": "doing"}, _backup("backup-three")])
        admin.answers["admin/backups/backup-three"] = lambda _: next(states)
        await pilot.press("c")
        await until(app, lambda text: "backup-three: being proven" in text)
        await until(app, lambda text: "$ pylon backups create" in text)


@pytest.mark.parametrize(
    "to", ["s3://b/x?endpoint=https://a.example&region=eu-1", "file:///mnt/it's"]
)
async def test_a_copy_is_sent_by_a_line_that_quotes_its_place(to: str) -> None:
    """The address of a bucket has an ampersand, which a shell would take for its own."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.answers["admin/backups/backup-one/send"] = {"name": "backup-one"}
        admin.answers["admin/backups/backup-one"] = {**GOOD, "away": []}
        app.command_log.project = Path("/srv/chat")
        await pilot.press("g", "s")
        await _seen(app, "Send backup-one to")
        app.screen.query_one(Input).value = to
        await pilot.press("enter")
        await until(app, lambda text: "✓ send backup-one" in text)
        (done,) = app.command_log.done
        words = ["pylon", "backups", "send", "backup-one", "--to", to, "--project", "/srv/chat"]
        assert shlex.split(done.line) == words
