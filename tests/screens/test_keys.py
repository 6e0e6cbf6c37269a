"""Keys bound otherwise, help that is searched, charts without glyphs."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from pylon import paths
from pylon.testing.grid import grid
from pylon.tui.screens.help import HelpScreen
from tests.screens.fakes import change, changes, jobs, queue, queues, status
from tests.screens.test_dashboard import opened, until


async def test_the_file_of_keys_holds_in_strip_help_and_hands() -> None:
    """The new key does it, the usual one no more; a mistake is said and stops nothing."""
    paths.keys_file().write_text('help = "f8"\npane.jobs = "f6"\npaus = "x"\n')
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs"] = jobs()
        admin.say(status(head=7), changes(change(7)), queues(queue("default")))
        await until(app, lambda text: "head 7" in text and "did you mean pause?" in text)
        await until(app, lambda text: " f6 Jobs " in text)
        await pilot.press("question_mark")
        assert not isinstance(app.screen, HelpScreen)
        await pilot.press("f8")
        await until(app, lambda text: "Screens" in text or "On Log" in text)
        await pilot.press("slash", "f", "8")  # wherever it stands, the search finds it
        await until(app, lambda text: "f8             Help" in text)
        await pilot.press("escape")
        await until(app, lambda text: "/ search" not in text)
        await pilot.press("f6")
        await until(app, lambda text: "Jobs" in text.splitlines()[0])
        app.action_pane("runtime")
        await until(app, lambda text: "nothing has the id paus" in text)


async def test_a_help_that_is_closed_while_the_size_changes_ends_nothing() -> None:
    """What is folded for the new width may be gone by then."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=7))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("question_mark")
        await until(app, lambda text: "Screens" in text)
        await app.screen.query_one(Static).remove()
        await pilot.resize_terminal(90, 20)
        await pilot.press("escape")
        await until(app, lambda text: "/ search" not in text and "head 7" in text)


async def test_the_help_is_searched() -> None:
    """Only lines with all the words are left; esc goes back to the panes."""
    async with opened() as (app, admin, pilot):
        admin.say(status(head=7))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("question_mark")
        await until(app, lambda text: "Screens" in text)
        await pilot.press("slash", *"retry it")
        await until(app, lambda text: "Retry it: dead" in text and "Screens" not in text)
        await pilot.press(*"zzz")
        await until(app, lambda text: "No line has this." in text)
        await pilot.press("escape")
        await until(app, lambda text: "head 7" in text)
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_charts_are_drawn_in_ascii_where_that_is_wanted(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYLON_CHARTS has the last word; the figures stand beside them either way."""
    monkeypatch.setenv("PYLON_CHARTS", "ascii")
    async with opened(size) as (app, admin, pilot):
        admin.answers["admin/jobs"] = jobs()
        admin.say(status(head=7), queues(queue("default")))
        await until(app, lambda text: "head 7" in text)
        admin.say(queues(queue("default"), completed=9))
        await pilot.press("6")
        text = await until(app, lambda text: "#" in text and "done/s" in text)
        assert not set(text) & set("▁▂▃▄▅▆▇█")


async def test_the_last_line_names_no_key_of_the_screen_below_a_window() -> None:
    """There q closes the window: what it would do on the screen is said again after that."""
    async with opened() as (app, admin, pilot):
        admin.say(status(), changes(change(1)))
        await until(app, lambda text: "row-1" in text and "q Quit" in text)
        for keys, words in (
            ("y", "change as JSON"), ("question_mark", "/ search"), ("colon", "Search for"),
            ("ctrl+c", "Quit?"),
        ):  # fmt: skip
            await pilot.press(keys)
            await until(app, lambda text, words=words: words in text)  # type: ignore[misc]
            assert not grid(app)[-1].strip()
            await pilot.press("escape")
            await until(app, lambda text: "q Quit" in text)
