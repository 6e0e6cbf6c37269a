"""The filter line of the Data screen: what may come next above it, and where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from pylon.testing.grid import grid
from tests.screens.data_fakes import TASK, data_field
from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import SIZES, open_tasks
from tests.screens.test_users_screen import _seen

STATE = data_field("state", "enum", choices=["open", "done", "\x1b[31mred"])


def _with_state(admin: Any) -> None:
    """Have tasks say a field with choices."""
    entities = admin.answers["admin/data"]["entities"]
    entities[0] = {**TASK, "fields": [*TASK["fields"], STATE], "rows": 3, "bytes": 1}


@pytest.mark.parametrize("size", SIZES)
async def test_a_filter_is_made_of_offers(size: tuple[int, int]) -> None:
    """Fields, operators and values of an enum by tab; private fields are none; esc hides them."""
    async with opened(size) as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        _with_state(admin)
        await pilot.press("slash")
        text = await _seen(app, "› id", "tab takes it", "title", "… ")
        assert "secret" not in text
        assert all(len(line) <= size[0] for line in grid(app))
        assert len(grid(app)) == size[1]
        await pilot.press(*"titl")
        await _seen(app, "› title")
        await pilot.press("tab")
        await _seen(app, "› ==")
        await pilot.press("tab")
        line = app.query_one("#filter", Input)
        assert line.value == "title == "
        await pilot.press(*"'task 2'")
        await _seen(app, "1/1", "› &&")
        await pilot.press("tab", *"sta")
        app.state.data.entities = admin.answers["admin/data"]["entities"]
        await pilot.press("t")
        await _seen(app, "› state")
        await pilot.press("tab", "tab")
        text = await _seen(app, "› 'open'", "'done'")
        assert "\x1b" not in text
        await pilot.press("down", "tab")
        assert line.value == "title == 'task 2' && state == 'done'"
        await pilot.press("enter")
        await until(app, lambda text: "tab takes it" not in text)
        assert table.asked[-1]["filter"].startswith("title == 'task 2'")
        await pilot.press("escape")
        await _seen(app, "1/3")


@pytest.mark.parametrize("size", SIZES)
async def test_a_mistake_is_pointed_at(size: tuple[int, int]) -> None:
    """The mark stands above the word that is wrong, until it is another text."""
    async with opened(size) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("slash", *"true && titel")
        await _seen(app, "▼ filter: Task has no field", "✗ filter: Task has no field")
        lines = grid(app)
        at = next(number for number, line in enumerate(lines) if "▼" in line)
        assert lines[at].index("▼") == lines[at + 1].index("titel")
        await pilot.press("x")
        await until(app, lambda text: "▼" not in text or "titelx" in text)
        await pilot.press("escape")
        await until(app, lambda text: "▼" not in text)


async def test_other_screens_keep_their_plain_line() -> None:
    """No offers there; tab goes on, and words filter as ever."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        await pilot.press("2", "slash", "a", "down", "up")
        line = app.query_one("#filter", Input)
        assert (line.value, "tab takes it" in "\n".join(grid(app))) == ("a", False)
        await pilot.press("tab")
        await until(app, lambda _: not line.has_focus)


async def test_a_filter_stands_on_its_own_screen_only() -> None:
    """Data's is not seen on Clients, that of Clients not on Data; each is there on coming back."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("slash", *"title == 'task 2'", "enter")
        await _seen(app, "1/1")
        await pilot.press("4")
        await until(app, lambda text: "Clients" in text.splitlines()[0])
        line = app.query_one("#filter", Input)
        assert "title ==" not in "\n".join(grid(app))
        assert (line.value, app.pane.terms, line.has_class("shown")) == ("", "", False)
        await pilot.press("slash", *"ada", "enter", "3")
        await _seen(app, "title == 'task 2'", "1/1")
        assert (app.pane.terms, app.panes["clients"].terms) == ("title == 'task 2'", "ada")
        await pilot.press("4")
        await until(app, lambda text: "ada" in text.splitlines()[-2])
        assert line.value == app.pane.terms == "ada"


async def test_a_followed_reference_filters_no_other_screen() -> None:
    """What a reference put into the line stays with Data."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("l", "l", "l", "l")
        await _seen(app, "‹ownerId")
        await pilot.press("enter")
        await _seen(app, "id == 'u-ada'")
        for key in ("2", "0", "4"):
            await pilot.press(key)
            await until(app, lambda text: "id == " not in text)
            assert app.pane.terms == ""
        await pilot.press("3")
        await _seen(app, "id == 'u-ada'")


async def test_escape_leads_out_one_level_at_a_time() -> None:
    """What one typed goes first, then one place after the other, at last the entities."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("l", "l", "l", "l")
        await _seen(app, "‹ownerId")
        await pilot.press("enter")
        await _seen(app, "Task › Owner[id == 'u-ada']", "Ada")
        await pilot.press("r")
        await _seen(app, "Refer to Owner u-ada")
        await pilot.press("enter")
        await _seen(app, "› Task[ownerId == 'u-ada']", "t0000000")
        await pilot.press("slash", *["backspace"] * 30, *"title == 'task 2'", "enter")
        await _seen(app, "1/1", "t0000002")
        await pilot.press("escape")
        await _seen(app, "› Task[ownerId == 'u-ada']", "1/3")
        await pilot.press("slash", "escape")
        await until(app, lambda _: not app.query_one("#filter", Input).has_focus)
        assert app.pane.terms == "ownerId == 'u-ada'", "out of the line, and no further"
        await pilot.press("escape")
        await _seen(app, "Ada", "1/1")
        assert app.query_one("#filter", Input).value == "id == 'u-ada'"
        await pilot.press("escape")
        await _seen(app, "t0000000", "‹ownerId")
        await pilot.press("escape")
        await _seen(app, "enter opens an entity")
        await pilot.press("escape")
        await _seen(app, "enter opens an entity")


async def test_the_last_line_names_no_key_that_is_typed() -> None:
    """In the filter line ? is a letter: help is on f1 there, and opens by it."""
    async with opened() as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: "? Help" in text.splitlines()[-1])
        await pilot.press("2", "slash")
        text = await until(app, lambda text: "f1 Help" in text.splitlines()[-1])
        assert not any(one in text.splitlines()[-1] for one in ("? Help", "q Quit", "/ Filter"))
        await pilot.press("question_mark", "f1")
        await _seen(app, "On Log")
        await pilot.press("escape")
        await until(app, lambda text: "f1 Help" in text.splitlines()[-1])
        assert app.query_one("#filter", Input).value == "?"
