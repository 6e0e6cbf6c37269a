"""More lines than anybody reads: what a frame costs and what is held stay the same, keys go on."""

from __future__ import annotations

import asyncio

from textual import events

from pylon import limits
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import SupervisorEvent
from pylon.tui import log_pane, runtime_pane
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import ScriptedAdmin, change, changes, status
from tests.screens.test_dashboard import opened, until

#: A second at 50,000 changes: what a message of the stream has, and what it leaves out.
MESSAGES, CHANGES, DROPPED = 15, 500, 2_833


def _second_of_changes(admin: ScriptedAdmin, first: int = 1) -> int:
    """Have a second of changes come; returns the next seq."""
    for _ in range(MESSAGES):
        first += DROPPED
        admin.say(changes(*(change(first + n) for n in range(CHANGES)), dropped=DROPPED))
        first += CHANGES
    admin.say(status(head=first - 1))
    return first


def _print(app: Dashboard, count: int) -> None:
    """Have a runtime print so many lines, a hundred at once."""
    for n in range(0, count, 100):
        texts = "\n".join(f"line {n + at}" for at in range(100))
        app.take_event(SupervisorEvent("line", texts, ProcessState.RUNNING))


async def test_the_log_keeps_up_and_says_what_it_leaves_out() -> None:
    """The newest changes are there, the number of those that are not, and a filter of them."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.say(status(), changes(change(1)))
        await pilot.press("2")
        following = _second_of_changes(admin, 2)
        dropped = f"{MESSAGES * DROPPED:,} not shown"
        await until(app, lambda text: f"row-{following - 1}" in text and dropped in text)
        assert isinstance(app.pane, log_pane.LogPane)
        assert app.pane.list is not None
        assert len(app.pane.list.rows) == MESSAGES * CHANGES + 1
        last = _second_of_changes(admin, following) - 1
        await until(app, lambda text: f"row-{last}" in text and "10000/10000" in text)
        assert len(app.pane.list.rows) == 10_000, "what is held is bounded"
        await pilot.press("slash", *f"id:row-{last}", "enter")
        await until(app, lambda text: "1/1 of 10000" in text)


async def test_a_key_is_answered_while_changes_wait() -> None:
    """However many messages are there already, the loop is given back between two."""
    async with opened() as (app, admin, _):
        admin.say(status())
        await until(app, lambda text: "head 0" in text)
        first = 1
        for _ in range(20):
            first = _second_of_changes(admin, first)
        app.post_message(events.Key("0", "0"))
        while app.pane.id != "health":
            assert admin.messages.qsize() > 0, "all messages went before the key"
            await asyncio.sleep(0)


async def test_the_runtime_log_keeps_up_and_says_what_is_gone() -> None:
    """The newest lines are there, what is held is bounded, each line is looked at once at most."""
    async with opened() as (app, _admin, pilot):
        app.action_pane("runtime")
        pane = app.pane
        assert isinstance(pane, runtime_pane.RuntimePane)
        looks, passes = 0, pane._tail._passes

        def counted(line: object, terms: str) -> bool:
            nonlocal looks
            looks += 1
            return passes(line, terms)

        pane._tail._passes = counted
        _print(app, 50_000)
        gone = 50_000 - limits.LOG_LINES_KEPT_MAX
        await until(app, lambda text: "line 49999" in text and f"{gone:,} older gone" in text)
        assert pane.list is not None
        assert len(pane.list.rows) == limits.LOG_LINES_KEPT_MAX
        assert looks <= limits.LOG_LINES_KEPT_MAX
        await pilot.press("k")
        await until(app, lambda text: f"{limits.LOG_LINES_KEPT_MAX - 1}/" in text)
        stays = pane.list.current
        _print(app, 100)
        await until(app, lambda text: f"{gone + 100:,} older gone" in text)
        assert pane.list.current is stays, "who looks at a line keeps it"
