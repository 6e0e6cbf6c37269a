"""The Data screen: entities, pages of rows, filters, sorting, references, columns, copies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from pylon.tui.data_pane import DataPane
from tests.screens.data_fakes import FakeTable, answers, task
from tests.screens.fakes import ScriptedAdmin, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]


async def open_tasks(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], count: int = 3, **more: Any
) -> FakeTable:
    """Open the rows of so many tasks."""
    table = FakeTable([task(n) for n in range(count)])
    admin.answers |= answers(table)
    admin.say(status(**more))
    await until(app, lambda text: "head 0" in text)
    await pilot.press("3")
    await _seen(app, "ENTITY", "Task", f"{count:,}")
    await pilot.press("enter")
    await _seen(app, "t0000000", f"1/{count:,}")
    return table


@pytest.mark.parametrize("size", SIZES)
async def test_entities_and_rows_are_shown(size: tuple[int, int]) -> None:
    """Counts and sizes; values by kind, null told from text, private fields out; all of it fits."""
    async with opened(size) as (app, admin, pilot):
        table = FakeTable([task(0), task(1, note="null"), task(2, note="")])
        admin.answers |= answers(table)
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        await pilot.press("3")
        await _seen(app, "ENTITY", "Task", "186.0 MiB", "Owner", "8.0 KiB")
        await pilot.press("enter")
        text = await _seen(app, "‹id", "1/3", "ownerId →", "✓ true", "- false", "task 1")
        assert "hush-canary" not in text
        assert ("ENTITY" in text) is (size[0] >= 120), "where there is room both are seen"
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("l", "l", "l", "l", "l")
        await _seen(app, "‹note", "null", '"null"', '""')
        await pilot.press("question_mark")
        text = await _seen(app, "On Data", "Sort by the column")
        await pilot.press("escape", "backspace")
        await _seen(app, "entities", "ENTITY")


async def test_going_back_before_anything_was_asked_is_going_back() -> None:
    """enter and backspace in one go: what was to be read is not wanted any more."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        pane = app.panes["data"]
        assert isinstance(pane, DataPane)
        pane.action_return()
        pane.open("Task")
        pane.action_return()
        await _seen(app, "enter opens an entity")
        await pilot.press("enter")
        await _seen(app, "t0000000", "1/3")


async def test_a_table_without_rows_says_how_one_is_made() -> None:
    """A filter that finds none says that instead."""
    async with opened() as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        await pilot.press("slash", *"title == 'nosuch'", "enter")
        await _seen(app, "No row is found.")
        table.rows.clear()
        await pilot.press("escape")
        await _seen(app, "No row yet: a makes one.")


async def test_a_long_table_is_never_held() -> None:
    """g, G and scrolling read pages by key; what is held stays a window; the place is counted."""
    async with opened() as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot, 10_000)
        state = app.state.data
        assert len(state.rows) == 200
        await pilot.press("G")
        await _seen(app, "t0009999", "10,000/10,000")
        for _ in range(5):
            before = app.pane.list.current["id"]  # type: ignore[union-attr]
            await pilot.press(*["pageup"] * 8)
            await until(app, lambda _: not state.wanted(app.pane.list.cursor))  # type: ignore[union-attr]
            assert app.pane.list.current["id"] < before  # type: ignore[union-attr]
            assert len(state.rows) <= 1_000
        here = app.pane.list.current["id"]  # type: ignore[union-attr]
        await _seen(app, f"{int(here[1:]) + 1:,}/10,000")
        for _ in range(3):
            await pilot.press(*["pagedown"] * 8)
            await until(app, lambda _: not state.wanted(app.pane.list.cursor))  # type: ignore[union-attr]
        there = app.pane.list.current["id"]  # type: ignore[union-attr]
        assert there > here
        await _seen(app, f"{int(there[1:]) + 1:,}/10,000")
        await pilot.press("g")
        await _seen(app, "t0000000", "1/10,000")
        assert all(given.get("limit", 0) <= 1_000 for given in table.asked)


async def test_a_filter_is_asked_when_it_was_typed_and_a_mistake_leaves_the_rows() -> None:
    """What the runtime says of a mistake stands in the line of news; esc shows all again."""
    async with opened() as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        await pilot.press("slash", *"title == 'task 2'", "enter")
        await until(app, lambda text: "1/1" in text and "t0000002" in text)
        assert "t0000000" not in shown(app)
        asked = [given.get("filter") for given in table.asked if not given.get("count")]
        assert len(set(asked)) < 10, "not every letter is a question"
        await pilot.press("escape")
        await _seen(app, "1/3", "t0000000")
        await pilot.press("slash", *"titel", "enter")
        await _seen(app, "✗ filter: Task has no field titel (did you mean x?)", "t0000000")
        count = len(table.asked)
        await asyncio.sleep(0.7)
        assert len(table.asked) == count, "a mistake is not asked again and again"


async def test_enter_asks_a_filter_without_waiting_for_more_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is typed to its end is asked at once."""
    monkeypatch.setattr("pylon.tui.data._TYPED_SECONDS", 1_000.0)
    async with opened() as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        await pilot.press("slash", *"title == 'task 2'")
        assert not any(given.get("filter") for given in table.asked)
        await pilot.press("enter")
        await _seen(app, "1/1", "t0000002")


async def test_rows_are_sorted_by_the_column_under_the_cursor_and_columns_chosen() -> None:
    """s: ascending, descending, not; c takes columns out and private ones in."""
    async with opened((120, 30)) as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot, 8)
        await pilot.press("right", "right", "s")
        await _seen(app, "‹rank ▲", "by rank")
        await pilot.press("s")
        await _seen(app, "‹rank ▼", "by rank descending")
        assert table.asked[-1].get("order") == "-rank" or table.asked[-2].get("order") == "-rank"
        await pilot.press("s")
        await until(app, lambda text: "▼" not in text and "by rank" not in text)
        await pilot.press("c")
        await _seen(app, "Columns", "secret (private)")
        await pilot.press("space", *["down"] * 5, "space", "enter")
        text = await _seen(app, "secret (private)", "hush-canary")
        assert "title" not in text


async def test_references_are_followed_and_lead_back() -> None:
    """enter on a reference goes to its row, r lists who refers here, backspace returns in place."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot, 1_000)
        await pilot.press("G")
        await _seen(app, "1,000/1,000")
        await pilot.press("up", "up", *["right"] * 4, "enter")
        await _seen(app, "Task › Owner[id == 'u-ada']", "Ada", "1/1")
        assert app.query_one("#filter").value == "id == 'u-ada'"  # type: ignore[attr-defined]
        await pilot.press("r")
        await _seen(app, "Refer to Owner u-ada", "1,000 Task by ownerId")
        await pilot.press("enter")
        await _seen(app, "› Task[ownerId == 'u-ada']", "t0000000")
        await pilot.press("backspace")
        await _seen(app, "Ada", "1/1")
        await pilot.press("backspace")
        await _seen(app, "t0000997", "998/1,000", "‹ownerId")
        assert app.pane.list.current["id"] == "t0000997"  # type: ignore[union-attr]
        await pilot.press("backspace")
        await _seen(app, "ENTITY")


async def test_a_row_is_shown_whole_and_copied() -> None:
    """All fields with what they are, private ones marked; y copies id, cell, JSON, curl."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("enter")
        await _seen(app, "Task t0000000", "hush-canary (private)", "u-ada (→ Owner)", "_seq 1")
        await pilot.press("escape", "right", "y")
        await _seen(app, "id: t0000000", "title: task 0", "row as JSON", "as curl: curl -sS -H")


async def test_rows_that_change_are_read_again_and_the_cursor_stays() -> None:
    """A new head has the window read again; what can't be read is said, and old rows stay."""
    async with opened() as (app, admin, pilot):
        table = await open_tasks(app, admin, pilot)
        await pilot.press("down", "down")
        table.rows.insert(0, task(0, id="a-new-one", title="came"))
        admin.say(status(head=1))
        await _seen(app, "a-new-one", "4/4")
        assert app.pane.list.current["id"] == "t0000002"  # type: ignore[union-attr]
        admin.answers["admin/data/Task"] = AdminError("the runtime does not answer: refused")
        admin.say(status(head=2))
        await _seen(app, "✗ the runtime does not answer", "a-new-one")


async def test_a_number_that_was_counted_long_ago_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where counting takes long it is done less often, and the number has a mark meanwhile."""
    monkeypatch.setattr("pylon.tui.data._STALE_SECONDS", 0.0)
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await _seen(app, "1/3")
        counts = app.pane._data._counts  # type: ignore[attr-defined]
        counts.is_asking = True
        admin.say(status(head=99))
        await _seen(app, "1/~3")
        counts.is_asking = False
        await until(app, lambda text: "1/3" in text)


async def test_hostile_rows_are_text() -> None:
    """Nothing that a field holds steers the terminal or is read as markup."""
    async with opened() as (app, admin, pilot):
        table = FakeTable([task(0, title=NASTY, note=f"{NASTY}\n{NASTY}")])
        admin.answers |= answers(table)
        admin.answers["admin/data"]["entities"][0]["fields"][1]["name"] = NASTY
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        await pilot.press("3")
        await _seen(app, "Task")
        for keys in (["enter"], ["i"], ["escape", "right", "y"], ["escape", "c"]):
            await pilot.press(*keys)
            text = await _seen(app, "[red]x[/red]")
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys


async def test_an_app_that_starts_is_not_said_to_have_no_entity() -> None:
    """Before the runtime told its entities it starts; an app without any is told as such."""
    async with opened((100, 30)) as (app, admin, pilot):
        app.state.is_attached = False  # as under a supervisor, who tells how the process is
        app.state.note_process("starting", "")
        admin.answers["admin/data"] = AdminError("nobody answers at this address")
        await pilot.press("3")
        text = await _seen(app, "◔ the runtime starts …")
        assert "No entity yet" not in text
        assert "nobody answers" not in text
        admin.answers["admin/data"] = {"entities": []}
        app.state.note_process("running", "")
        admin.say(status())
        text = await _seen(app, "No entity yet: one is declared")
        assert "starts" not in text
        assert "reading" not in text


async def test_the_hint_offers_only_what_can_be_done_where_one_looks() -> None:
    """In the past, and as somebody else, nothing is edited or deleted."""
    async with opened((120, 30)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await _seen(app, "e edit · a new · D delete")
        app.past.stand(0)
        text = await _seen(app, "esc back to now · t another change")
        assert "delete" not in text
        assert " edit" not in text
        app.past.stand(None)
        await _seen(app, "e edit · a new · D delete")
        app.state.data.look_as("ada@example.com")
        app.state.touch("data")
        text = await _seen(app, "v as somebody else")
        assert "delete" not in text
