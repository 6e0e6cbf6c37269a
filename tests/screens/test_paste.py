"""What is pasted: into lines and forms as it is, on a screen never as keys."""

from __future__ import annotations

from textual.events import Paste
from textual.widgets import Input

from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks


async def test_a_paste_on_a_screen_presses_no_key() -> None:
    """`/`, `q`, `D`, and a line end in it do nothing; it says where a paste goes."""
    async with opened((100, 30)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        asked = len(admin.posted)
        app.post_message(Paste("/q D\nRRR"))
        await until(app, lambda text: "a paste goes into a line" in text)
        assert len(app.screen_stack) == 1
        assert not app.query_one("#filter").has_class("shown")
        assert len(admin.posted) == asked
        assert app.pane.id == "data"


async def test_a_paste_goes_into_the_filter_and_into_forms() -> None:
    """One line of it into a line; steering characters do not get to the screen."""
    async with opened((100, 30)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("slash")
        await until(app, lambda _: app.focused is app.query_one("#filter", Input))
        app.post_message(Paste("rank > 1\nand more"))
        await until(app, lambda _: app.query_one("#filter", Input).value == "rank > 1")
        await pilot.press("escape", "a")
        await until(app, lambda text: "new Task" in text)
        field = app.screen.query(Input).first()
        field.focus()
        await until(app, lambda _: app.focused is field)
        app.post_message(Paste("/a title"))
        await until(app, lambda _: field.value == "/a title")
