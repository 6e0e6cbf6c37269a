"""What `:` takes: whole words for screens, verbs and the way out, and the palette behind them."""

from __future__ import annotations

import pytest

from pylon.tui.command_line import SHORT, screen_of
from pylon.tui.palette import has_words
from pylon.tui.registry import SCREENS
from tests.screens.fakes import job, jobs, queue, queues, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_data_screen import open_tasks


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("jobs", "jobs"), ("jo", "jobs"), ("6", "jobs"), ("Jobs", "jobs"), ("wf", "workflows"),
        ("U", "users"), ("runtime log", "runtime"), ("s", ""), ("", ""), ("nothing", ""),
    ],
)  # fmt: skip
def test_a_word_means_one_screen_or_none(word: str, name: str) -> None:
    """By key, name, title, short word, or a beginning that no other has."""
    assert screen_of(word) == name


def test_no_short_word_means_two_things() -> None:
    """And each is of a screen there is."""
    words = [word for each in SHORT.values() for word in each]
    names = {one.name for one in SCREENS}
    assert set(SHORT) <= names
    assert len(set(words)) == len(words)
    assert not set(words) & names


async def test_words_lead_to_screens_do_verbs_and_quit() -> None:
    """`:6`, `:wf`, `:retry` on Jobs; `:q` is q, and asks where that asks."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs"] = jobs(job(1, state="dead"))
        admin.answers["admin/jobs/job-1/retry"] = {"state": "available"}
        admin.say(status(head=7), queues(queue("default")))
        await until(app, lambda text: "head 7" in text)
        await pilot.press("colon", *"fn", "enter")
        await until(app, lambda text: app.pane.id == "functions")
        await pilot.press("colon", "6", "enter")
        await until(app, lambda text: app.pane.id == "jobs" and "✗ dead" in text)
        await pilot.press("colon", *"retry", "enter")
        await until(app, lambda text: "$ pylon jobs retry job-1" in text)
        await pilot.press("colon")
        text = await until(app, lambda text: "Search for commands" in text and "Log" in text)
        assert "Theme" not in text
        await pilot.press("escape", "ctrl+p")
        await until(app, lambda text: "Search for commands" in text and "Branch" in text)
        await pilot.press("escape", "colon", "q", "enter")
    assert app.return_value == 0


#: What the dashboard is said to do, in the words it is said in, and the keys that do it where.
SAID = {
    "sort": "s on Data", "column": "c on Data", "follow": "enter on Data",
    "referrers": "r on Data", "create": "a on Data", "duplicate": "A on Data",
    "delete": "D on Data", "bulk": "e on Data", "bulk edit": "e on Data", "mark": "space on Data",
    "undo": "u on Data", "view as": "v on Data", "export": "x on Data", "curl": "y on Data",
    "sql": "Q on Data", "lens": "L on Data", "blame": "b on Data", "history": "L on Data",
    "restore version": "L on Data", "scrub": "t on Log", "diff": "d on Log",
    "pytest": "S on Log", "replay": "P on Log", "plan": "a on Schema", "switch": "x on Branches",
    "verify": "v on Backups", "restore": "R on Backups", "resync": "S on Clients",
    "retry": "r on Jobs",
}  # fmt: skip


async def test_the_palette_finds_what_is_done_by_the_words_for_it() -> None:
    """On a screen that has none of it: where it is done and by which key; enter leads there."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("0")
        offered = list(app.get_system_commands(app.screen))
        for query, key in SAID.items():
            found = [one.help for one in offered if has_words(one, query)]
            assert any(one.startswith(f"key {key}") for one in found), (query, found)
        for key in ("ctrl+p", "colon"):
            await pilot.press(key, *"duplicate")
            await until(app, lambda text: "A new row like this one" in text)
            await pilot.press("escape")
            await until(app, lambda text: "Search for commands" not in text)
        await pilot.press("ctrl+p", *"duplicate")
        await until(app, lambda text: "A new row like this one" in text)
        await pilot.press("down", "enter")
        await until(app, lambda text: app.pane.id == "data" and "A: Data: A new row" in text)


async def test_words_find_what_the_screen_itself_does() -> None:
    """On Data `bulk` is its own edit, first of all."""
    async with opened((100, 40)) as (app, admin, pilot):
        await open_tasks(app, admin, pilot)
        await pilot.press("ctrl+p", *"bulk")
        text = await until(app, lambda text: "Edit the row, or all marked rows" in text)
        assert "key e" in text
        assert "key e on Data" not in text
