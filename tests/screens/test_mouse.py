"""The mouse: cells and heads of rows, drags that open nothing, and the keys that a box names."""

from __future__ import annotations

from textual.pilot import Pilot

from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from pylon.tui.dialogs import Details, Question
from tests.screens.data_fakes import task
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks
from tests.screens.test_users_screen import _seen


def place_of(app: Dashboard, words: str) -> tuple[int, int]:
    """Return where words stand on the screen."""
    for y, line in enumerate(grid(app)):
        if words in line:
            return line.index(words), y
    raise AssertionError(f"{words!r} is not shown")


async def click(app: Dashboard, pilot: Pilot[int], words: str) -> None:
    """Click on the first letter of words."""
    assert await pilot.click(offset=place_of(app, words))
    await pilot.pause()


async def test_a_click_goes_to_a_cell_and_another_one_opens_its_row() -> None:
    """Only a click on the cell of the cursor opens something: the first one goes there."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await click(app, pilot, "task 1")
        await _seen(app, "‹title", "2/3")
        assert len(app.screen_stack) == 1
        await click(app, pilot, "task 1")
        await _seen(app, "Task t0000001")
        await pilot.press("escape")
        await click(app, pilot, "task 2")
        await _seen(app, "3/3")
        assert len(app.screen_stack) == 1


async def test_a_click_on_a_head_sorts_by_it() -> None:
    """As `s` does there: up, down, not."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        head = place_of(app, "rank")
        for order in ("rank", "-rank", ""):
            await pilot.click(offset=head)
            await until(
                app,
                lambda text, wanted=order: _order(app) == wanted and "‹" in text,  # type: ignore[misc]
            )
            assert app.pane.list.column == 2  # type: ignore[union-attr]
        assert len(app.screen_stack) == 1


def _order(app: Dashboard) -> str | None:
    place = app.state.data.place
    return None if place is None else place.order


async def test_a_drag_over_rows_opens_none() -> None:
    """Whoever marks text with the mouse ends somewhere, and be it on the row of the cursor."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await click(app, pilot, "task 0")
        here, there = place_of(app, "task 2"), place_of(app, "task 0")
        await pilot.mouse_down(offset=here)
        await pilot.hover(offset=(there[0] + 3, there[1]))
        await pilot.mouse_up(offset=(there[0] + 3, there[1]))
        await pilot.pause(0.3)
        assert len(app.screen_stack) == 1
        await _seen(app, "1/3")


async def test_keys_in_the_border_of_a_box_can_be_clicked() -> None:
    """A question is answered, and a text closed, without the keyboard."""
    async with opened() as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        answers: list[bool | None] = []
        for words in ("n no", "y yes"):
            app.push_screen(Question("Surely?"), answers.append)
            await _seen(app, "Surely?")
            await click(app, pilot, words)
            await pilot.pause(0.2)
        assert answers == [False, True]
        app.push_screen(Details("a title", str(task(0))))
        await _seen(app, "a title")
        await click(app, pilot, "esc back")
        await pilot.pause(0.2)
        assert len(app.screen_stack) == 1
