"""Answers that come late: to a screen that was closed, to a question that is over, or slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.screen import Screen

from pylon.client.admin import AdminError
from pylon.tui.client_actions import ClientActions
from pylon.tui.dashboard import Dashboard
from pylon.tui.screens.client import ClientScreen
from pylon.tui.screens.diff import DiffScreen
from pylon.tui.screens.mail_preview import MailPreviewScreen
from pylon.tui.screens.scrub import ScrubScreen
from pylon.tui.screens.sql import SqlScreen
from pylon.tui.screens.try_call import TryScreen
from pylon.tui.screens.why import WhyScreen
from pylon.tui.try_run import TryRun
from pylon.tui.trying import Trying
from tests.screens.fakes import ScriptedAdmin, client, function, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_past_screens import _diff, _open_log
from tests.screens.test_users_screen import _seen

Opened = tuple[Screen[Any], Callable[[], Awaitable[None]]]
SQL = {"columns": ["n"], "rows": [[1]], "more": False, "cut": 0, "ms": 1.0, "plan": []}


def _client(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    screen = ClientScreen(app, admin, ClientActions(app, admin), client("ada"))
    return screen, screen._ask


def _diff_of_entities(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    screen = DiffScreen(app, admin, 1, 5)
    return screen, screen._ask_entities


def _diff_of_rows(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    screen = DiffScreen(app, admin, 1, 5)
    return screen, lambda: _rows_of(screen)


async def _rows_of(screen: DiffScreen) -> None:
    screen._entity = "Task"
    await screen._ask_rows("Task")


def _preview(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    screen = MailPreviewScreen(admin, lambda: "", "placed")
    return screen, screen._show


def _why(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    given = {"entity": "Task", "id": "t", "as": "ada", "access": "read"}
    screen = WhyScreen(app.asking_why, given)
    return screen, screen._show


def _sql(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    screen = SqlScreen(admin, app.state.data)
    return screen, lambda: screen._ask("SELECT 1")


def _try(app: Dashboard, admin: ScriptedAdmin) -> Opened:
    one = function("add", kind="action")
    screen = TryScreen(app, admin, Trying(app, admin), one)
    return screen, lambda: screen._call(TryRun("add", "action", {}, "ada", 0.0, streams=False))


SCREENS = [_client, _diff_of_entities, _diff_of_rows, _preview, _why, _sql, _try]


@pytest.mark.parametrize("make", SCREENS)
@pytest.mark.parametrize("is_refused", [False, True])
async def test_an_answer_to_a_closed_screen_ends_nothing(
    make: Callable[[Dashboard, ScriptedAdmin], Opened], is_refused: bool
) -> None:
    """A screen loses its parts before what it asked is given up: the answer may come between."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        refused = AdminError("no", answer={"details": {"field": "as"}})
        admin.answers |= {
            "admin/clients/client-ada": {"client": client("ada"), "unseen": None, "next": None},
            "admin/diff": _diff, "admin/sql": SQL, "admin/call": {"value": 1},
            "admin/mail/preview": {"error": None, "subject": "s", "text": "t", "html": None},
            "admin/explain": AdminError("nobody"),
        }  # fmt: skip
        screen, late = make(app, admin)
        await app.push_screen(screen)
        await pilot.pause()
        app.pop_screen()
        for _ in range(500):
            if not screen.query("*"):
                break
            await pilot.pause(0.01)
        assert not screen.query("*")
        if is_refused:
            admin.answers = dict.fromkeys(admin.answers, refused)
        await late()


async def test_what_was_asked_of_the_past_moves_nothing_once_one_is_back() -> None:
    """`esc` leads to now: an answer that was on its way does not lead to the past again."""
    async with opened((100, 30)) as (app, admin, pilot):
        await _open_log(app, admin, pilot)
        await pilot.press("t")
        await _seen(app, "Time travel", "as of change")
        screen = app.screen
        assert isinstance(screen, ScrubScreen)
        screen._asked = {"seq": 40}
        await pilot.press("escape")
        await screen._ask()
        assert app.state.data.as_of is None


async def test_a_slow_preview_comes_all_the_same() -> None:
    """It is looked at each second, and not given up for that: a far runtime takes longer."""
    async with opened((100, 30)) as (app, admin, _pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        mail = {"error": None, "subject": "s", "text": "it came", "html": None, "page": "/p"}

        async def slow(path: str, body: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(1.6)
            return mail

        admin.post = slow  # type: ignore[method-assign]
        await app.push_screen(MailPreviewScreen(admin, lambda: "", "placed"))
        await until(app, lambda text: "it came" in text, seconds=8.0)


async def test_esc_stops_the_statement_that_was_asked_over_another_one() -> None:
    """The end of the first is not the end of the second: it is stopped, and the line stays."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)

        async def never(path: str, body: dict[str, Any]) -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        admin.post = never  # type: ignore[method-assign]
        await app.push_screen(SqlScreen(admin, app.state.data))
        await pilot.press(*"SELECT 1", "enter")
        await _seen(app, "asking")
        await pilot.press("enter")
        await pilot.pause(0.1)
        await pilot.press("escape")
        await _seen(app, "stopped")
        assert isinstance(app.screen, SqlScreen)
        await pilot.press("escape")
        await until(app, lambda text: "SELECT …" not in text and "stopped" not in text)
