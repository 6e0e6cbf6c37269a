"""Every list of every screen, filtered by a column and by all but that, over a real runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from textual.widgets import Input

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.supervisor import registry
from pylon.testing.grid import shown
from pylon.testing.warm import WarmProject
from pylon.tui.dashboard import Dashboard
from pylon.tui.registry import SCREENS
from tests.museum import PLAIN, fill_museum, make_museum
from tests.screens.fakes import change as change_of
from tests.screens.fakes import changes, client, status
from tests.screens.test_dashboard import opened, until

#: By screen and line: which rows it lets through, by what the runtime says of them.
FILTERS: Final[Mapping[str, Mapping[str, Callable[[Any], bool]]]] = {
    "projects": {"name:idle": lambda row: row["name"] == "idle"},
    "log": {
        "entity:note": lambda row: row["entity"] == "Note",
        "what:coffee": lambda row: "coffee" in row["effect"],
        "user:system": lambda row: not row["user"],
    },
    "clients": {"client:c0": lambda row: row["client_id"].startswith("c0")},
    "functions": {
        "kind:query": lambda row: row["kind"] == "query",
        "last-error:valueerror": lambda row: "ValueError" in str(row["last_error"]),
    },
    "jobs": {
        "job:bad": lambda row: row["name"] == "bad",
        "what:valueerror state:dead": lambda row: row["state"] == "dead",
        "try:0/": lambda row: row["attempt"] == 0,
        "by:ada@ id:0 job:later": lambda row: row["name"] == "later",
    },
    "workflows": {
        "workflow:order": lambda row: row["name"] == "order",
        "waits-for:signal": lambda row: row["state"] == "parked",
        "by:ada@ id:0 steps:1 workflow:fails": lambda row: row["name"] == "fails",
    },
    "policies": {
        "access:read": lambda row: row["access"] == "read",
        "in-words:keeper": lambda row: "keeper" in row["in_words"],
    },
    "users": {
        "roles:keep": lambda row: "keeper" in row["roles"],
        "e-mail:u1@": lambda row: row["email"] == "u1@example.com",
        "created:2 sessions:1 tokens:0 id:0 e-mail:u": lambda row: row["email"][0] == "u",
    },
    "mail": {"subject:coffee": lambda row: row["subject"] == "coffee"},
    "files": {
        "name:coffee": lambda row: row["name"] == "coffee",
        "in:thing.file by:ada@ size:1 sha256: id:": lambda row: True,
    },
    "backups": {"state:proven": lambda row: row["state"] == "proven"},
    "health": {"figure:lag": lambda row: row["key"] == "loop_lag_ms"},
    "doctor": {"level:note": lambda row: row["level"] == "note"},
    "schema": {"entity:thing": lambda row: row["entity"] == "Thing"},
    "branches": {"branch:spare": lambda row: row["name"] == "spare"},
    "settings": {"setting:server": lambda row: "server" in row["key"]},
    "runtime": {"level:warning": lambda row: row[0] == "warning"},
    "commands": {"command:retry": lambda row: "retry" in row["line"]},
}
#: All rows of these are alike in what the line names.
_ALIKE: Final = {"state:proven", "level:note", "in:thing.file by:ada@ size:1 sha256: id:"}


async def test_every_list_is_filtered_by_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`column:value` leaves what has it, `!column:value` the rest; no screen is left out."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    for name in ("idle", "other"):
        registry.remember_project(tmp_path / name, 1)
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    admin = AdminClient.local(served.project)
    try:
        await served.start()
        sockets = await fill_museum(served, PLAIN)
        app = Dashboard(SystemClock(), admin)
        app.command_log.note("retry ship", "pylon jobs retry j1")
        app.command_log.note("create a backup", "pylon backups create")
        async with app.run_test(size=(120, 30)) as pilot:
            await until(app, lambda text: "● museum" in text)
            for screen in SCREENS:
                if screen.name == "data":
                    continue  # its line is of the policy language
                app.action_pane(screen.name)
                await until(app, lambda _: bool(_rows(app)))
                await until(app, lambda text: "reading …" not in text)
                every = _rows(app)
                for line, passes in FILTERS[screen.name].items():
                    kept = sum(map(passes, every))
                    assert kept, (line, every)
                    assert kept < len(every) or line in _ALIKE, (line, every)
                    await _filtered(app, line, passes, kept)
                    await _filtered(app, f"!{line}", _not(passes), len(every) - kept)
                await app.action_back()
                await pilot.pause()
        for socket in sockets:
            await socket.close()
    finally:
        await admin.close()
        await served.close()


def _not(passes: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda row: not passes(row)


def _rows(app: Dashboard) -> list[Any]:
    assert app.pane.list is not None
    return app.pane.list.rows


async def _filtered(app: Dashboard, line: str, passes: Callable[[Any], bool], count: int) -> None:
    """Type a line, and wait until these rows are left and no others."""
    app.action_filter()
    app.query_one("#filter", Input).value = line

    def are_left(_: str) -> bool:
        app.draw()  # and not at the next frame: there are many lines
        rows = _rows(app)
        return app.pane.terms == line and len(rows) == count and all(map(passes, rows))

    try:
        await until(app, are_left, seconds=20)
    except AssertionError as error:
        raise AssertionError(f"{line}: {count} rows, not {_rows(app)}\n{shown(app)}") from error


async def test_a_column_that_is_none_is_said_and_looked_for_as_text() -> None:
    """The line below says so with the columns that there are; times of day and addresses pass."""
    async with opened() as (app, admin, pilot):
        admin.say(status(), {"type": "clients", "clients": [
            client("ada", user_agent="http:gone 12:30"), client("bob"),
        ]})  # fmt: skip
        admin.say(changes(change_of(1)))
        await pilot.press("4")
        await until(app, lambda text: "bob@" in text)
        await pilot.press("slash", *"http:gone")
        text = await until(app, lambda text: "no column http" in text and "bob@" not in text)
        assert "looked for as text. Columns: state user" in text
        assert "ada@" in text
        for line in ("12:30", "user:ada", "last-seen:12", "http://"):
            app.query_one("#filter", Input).value = line
            await pilot.pause()
            await until(app, lambda text: "no column" not in text)


async def test_what_was_typed_last_ends_no_dashboard_that_ends_by_itself() -> None:
    """A letter in the filter may be told when there is no screen any more."""
    async with opened() as (app, _, _):
        app.action_filter()
        app.query_one("#filter", Input).value = "x"
        assert app.is_running
