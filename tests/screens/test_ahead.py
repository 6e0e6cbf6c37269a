"""Keys typed ahead: what a slow runtime is asked for gets them, and never the list below."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.events import Key
from textual.widgets import Input

from pylon.client.admin import AdminError
from pylon.testing.grid import shown
from pylon.tui.ahead import KEYS_MAX
from pylon.tui.dashboard import Dashboard
from pylon.tui.dialogs import Menu
from pylon.tui.screens.row_form import RowForm
from tests.screens.fakes import ScriptedAdmin
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks
from tests.screens.test_users_screen import _seen

ROW = "admin/data/Task/t0000000"


class Late:
    """Answers about one path come when the test lets them."""

    def __init__(self, admin: ScriptedAdmin, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may = asyncio.Event()
        get = admin.get

        async def late(asked: str, **params: Any) -> dict[str, Any]:
            if asked == path:
                await self.may.wait()
            return await get(asked, **params)

        monkeypatch.setattr(admin, "get", late)


def in_one_go(app: Dashboard, *keys: str) -> None:
    """Have keys come as from one packet: nothing of ours runs between them."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


def value_of_first(app: Dashboard) -> str | None:
    """Return what stands in the first field of the form; None where none is open."""
    form = app.screen
    fields = list(form.query(Input)) if isinstance(form, RowForm) else []
    return fields[0].value if fields else None


async def test_what_is_typed_while_a_row_is_read_goes_into_its_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`a`, `D`, `o` and `q` among it do nothing to the list; a tab goes on to the next field."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        late = Late(admin, ROW, monkeypatch)
        await pilot.press("e", *"aDoq", "tab", "7")
        await until(app, lambda text: "◔ reading the row … (esc: no)" in text)
        assert len(app.screen_stack) == 1
        late.may.set()
        await until(app, lambda _: value_of_first(app) == "task 0aDoq")
        await until(app, lambda _: app.screen.query(Input)[1].value == "07")
        assert not admin.posted
        await until(app, lambda text: "reading the row" not in text)


@pytest.mark.parametrize(("key", "first"), [("e", "task 0"), ("a", "")])
async def test_keys_that_come_in_one_go_with_the_one_that_opens(key: str, first: str) -> None:
    """They overtake the form, which is not there yet, and are still for it, in their order."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        in_one_go(app, key, *"oDanew", "tab", "5")
        await until(app, lambda _: value_of_first(app) == f"{first}oDanew")
        await until(app, lambda _: app.screen.query(Input)[1].value.endswith("5"))
        assert len(app.screen_stack) == 2


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_the_waiting_is_given_up_and_what_was_typed_with_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form does not come any more, and nothing is done by the keys, now or later."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        late = Late(admin, ROW, monkeypatch)
        await pilot.press("e", "a", "a", key)
        await _seen(app, "the row: not opened;", "2 keys typed ahead")
        late.may.set()
        await pilot.press("j")
        await until(app, lambda text: "2/3" in text)
        assert len(app.screen_stack) == 1


async def test_where_nothing_opens_keys_are_dropped_with_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row is gone: that is said, and the keys act on nothing."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        late = Late(admin, ROW, monkeypatch)
        await pilot.press("e", "a")
        admin.answers[ROW] = AdminError("there is no such row", answer={"code": "NOT_FOUND"})
        late.may.set()
        await _seen(app, "the row: nothing opened;", "a key typed ahead")
        assert "there is no such row" in shown(app)
        await pilot.press("j")
        await until(app, lambda text: "2/3" in text)
        assert len(app.screen_stack) == 1


async def test_a_file_that_is_read_late_holds_nothing_else_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Enter on another screen waits beside the rest: esc gives it up there as well."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        may = asyncio.Event()

        async def slow(row: Any) -> None:
            await may.wait()

        await pilot.press("1")
        monkeypatch.setattr(app.pane, "open_row", slow)
        app.ahead.open("it", lambda: app.pane.open_row({}), group="row")
        await until(app, lambda text: "reading it" in text)
        await pilot.press("q", "escape")
        await _seen(app, "it: not opened; a key typed ahead")


async def test_no_more_keys_are_held_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is dropped, and that is said once."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        late = Late(admin, ROW, monkeypatch)
        await pilot.press("e")
        in_one_go(app, *"x" * (KEYS_MAX + 9))
        await until(app, lambda text: f"{KEYS_MAX} keys were typed ahead" in text)
        late.may.set()
        await until(app, lambda _: value_of_first(app) == "task 0" + "x" * KEYS_MAX)


async def test_what_opened_and_went_within_one_frame_is_awaited_no_longer() -> None:
    """Its reader still waits for an answer that will not come: keys are the list's again."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)

        async def ask() -> None:
            answer = app.push_screen(Menu("Which", [("a", "a")]), wait_for_dismiss=True)
            app.pop_screen()
            has_gone.set()
            await answer

        has_gone = asyncio.Event()
        app.ahead.open("it", ask, group="choose")
        await until(app, lambda _: has_gone.is_set())
        await pilot.press("j")
        await until(app, lambda text: "2/3" in text)
