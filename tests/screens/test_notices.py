"""Notices: they say what happened, and cover no row meanwhile."""

from __future__ import annotations

import re
from contextvars import Context

import pytest

from pylon.testing.grid import grid, shown
from pylon.tui.saying import NOTICES, say
from tests.screens.fakes import change, changes, status
from tests.screens.test_dashboard import opened, until

_ROW = re.compile(r"row-\d+")


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (200, 50)])
async def test_a_short_notice_stands_in_the_line_of_keys(size: tuple[int, int]) -> None:
    """Every row that was seen still is, the one under the cursor and the first one among them."""
    async with opened(size) as (app, admin, pilot):
        admin.say(status(head=99), changes(*(change(n) for n in range(1, 100))))
        await until(app, lambda text: "row-99" in text and "99/99" in text)
        before = _ROW.findall(shown(app))
        say(app, "copied: the id", seconds=60)
        await until(app, lambda text: "copied: the id" in text)
        await pilot.pause()
        assert _ROW.findall(shown(app)) == before
        assert "copied: the id" in grid(app)[-1]


async def test_a_long_notice_moves_the_rows_up_and_goes_again() -> None:
    """The row under the cursor stays in sight, at the end of a list and at its beginning."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=99), changes(*(change(n) for n in range(1, 100))))
        await until(app, lambda text: "row-99" in text and "99/99" in text)
        before = _ROW.findall(shown(app))
        say(app, "a line of it " * 14, seconds=60, is_bad=True)
        text = await until(app, lambda text: text.count("▌") == 3)
        assert "row-99" in text
        assert "✗ a line of it" in text, "what is wrong is not said by a colour alone"
        app.clear_notifications()
        await until(app, lambda text: _ROW.findall(text) == before)
        await pilot.press("g")
        text = await until(app, lambda text: "1/99" in text)
        first = _ROW.findall(text)[0]
        say(app, "a line of it " * 14, seconds=60)
        text = await until(app, lambda text: text.count("▌") == 3)
        assert _ROW.findall(text)[0] == first


async def test_however_small_the_terminal_is_half_of_it_stays() -> None:
    """A notice of many lines does not take all of twenty cells by eight."""
    async with opened((20, 8)) as (app, admin, pilot):
        admin.say(status(head=9), changes(*(change(n) for n in range(1, 10))))
        await until(app, lambda text: "chat" in text)
        say(app, "a line of it " * 20, seconds=60)
        await until(app, lambda text: "a line" in text)
        await pilot.pause()
        lines = grid(app)
        assert "chat" in lines[0]
        assert all("▌" not in line for line in lines[:4])


async def test_notices_that_were_taken_away_leave_no_room_behind() -> None:
    """However many were said and cleared, the next short one takes the line of keys and no row."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=99), changes(*(change(n) for n in range(1, 100))))
        await until(app, lambda text: "row-99" in text and "99/99" in text)
        before = _ROW.findall(shown(app))
        for number in range(10):
            say(app, f"number {number}", seconds=60)
            await until(app, lambda text, words=f"number {number}": words in text)
            app.clear_notifications()
        say(app, "the last one", seconds=60)
        await until(app, lambda text: "the last one" in text)
        await pilot.pause()
        assert _ROW.findall(shown(app)) == before


async def test_what_is_told_from_outside_of_the_dashboard_is_said_and_cleared() -> None:
    """A save is told by whoever saw it: no part of the dashboard, and not under its context."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=9), changes(*(change(n) for n in range(1, 10))))
        await until(app, lambda text: "row-9" in text)
        for number in range(3):
            Context().run(say, app, f"number {number}", seconds=60)
            await until(app, lambda text, words=f"number {number}": words in text)
            Context().run(app.clear_notifications)
            await until(app, lambda text, words=f"number {number}": words not in text)
        await pilot.pause()
        assert not app.screen.query(f"#{NOTICES} > *")
