"""A migration that waits for a decision keeps the runtime from starting: what the screens say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from textual.widgets import Static

from pylon import jsonvalue
from pylon.client.admin import AdminError
from pylon.printable import LAID_OUT_CHARACTERS_MAX
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import SupervisorEvent
from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from pylon.tui.held import Outcome
from pylon.tui.registry import SCREENS
from pylon.tui.widgets.line_list import LineList
from tests.kept import NARROW, WIDE, end, make_held, pylon
from tests.screens.fakes import ScriptedAdmin, status
from tests.screens.test_dashboard import opened
from tests.screens.test_dashboard import until as seen
from tests.screens.test_terminal import Terminal

pytestmark = pytest.mark.timeout(300)
WHY = "the migration needs a decision: drop Note.more: 3 rows have a value"
PLAN: dict[str, Any] = {
    "text": "  drop Note.more (lossy)\n  LOSES DATA: drop Note.more: 3 rows have a value",
    "hash": "h1", "blockers": [], "data": [], "code": [], "unread": [],
}  # fmt: skip
_DONE = '{"applied":true,"hash":"h1"}'
_ON_ITS_WAY = ("reading …", "being read", "being listed", "being worked")


class Commands:
    """Stands for `pylon migrate`: what it was called with, and what it answers."""

    def __init__(self, **changed: Any) -> None:
        self.words: list[tuple[str, ...]] = []
        self.plan = {**PLAN, **changed}
        self.refusal = ""
        #: What comes of applying it, where it is not refused; it waits until it may end.
        self.applied: Outcome = (0, _DONE, "")
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, *words: str) -> Outcome:
        """Answer with the plan, beside what app.py prints, or refuse, or apply."""
        self.words.append(words)
        if self.refusal:
            return 1, "", self.refusal
        if "--apply" in words:
            await self.may_end.wait()
            return self.applied
        return 0, jsonvalue.encode_text(self.plan), "loading"

    @property
    def reads(self) -> int:
        """Return how often the plan was read."""
        return sum("--apply" not in words for words in self.words)


async def _answers_nobody(path: str, **_: Any) -> Any:
    raise AdminError(f"no runtime answers: {path}")


def _hold(app: Dashboard, admin: ScriptedAdmin, commands: Commands) -> None:
    admin.get = _answers_nobody  # type: ignore[method-assign]
    admin.repeats = app.state.is_attached = False
    app.command_log.project = Path("/p")
    app.held.run = commands
    app.take_event(
        SupervisorEvent("state", f"failed: {WHY}", ProcessState.FAILED, is_held=True)
    )  # fmt: skip


async def test_every_screen_says_what_it_stopped_for_and_which_key_goes_on() -> None:
    """Nothing is said to be on its way; the header and the lists name the key that goes on."""
    async with opened((100, 40)) as (app, admin, pilot):
        _hold(app, admin, Commands())
        for screen in SCREENS:
            app.action_pane(screen.name)
            await pilot.pause()
            assert "stopped: a migration waits (M)" in grid(app)[0]
            if screen.name not in ("projects", "commands"):  # of this machine, of this session
                await seen(app, lambda text: not any(words in text for words in _ON_ITS_WAY), 10)
            empty = [one for one in app.pane.query(LineList) if one.size.height and not one.rows]
            if screen.name not in ("projects", "commands", "health", "runtime"):
                assert all("M shows it" in one._said_of_none() for one in empty), screen.name
        app.action_pane("health")
        text = await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        assert "M applies it after a question" in text
        assert "so does ctrl+r" not in text


@pytest.mark.parametrize(("pane", "key"), [("schema", "a"), ("health", "M")])
async def test_consent_is_asked_by_the_plan_and_given_to_that_plan(pane: str, key: str) -> None:
    """The plan is shown and asked about; the answer is for it alone, and a refusal is said."""
    async with opened((100, 40)) as (app, admin, pilot):
        commands = Commands()
        _hold(app, admin, commands)
        app.action_pane(pane)
        await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        await pilot.press(key)
        text = await seen(app, lambda text: "Apply this migration, and start" in text)
        assert "3 rows have a value" in text
        commands.refusal = "the app or the rows have changed since that plan"
        await pilot.press("y")
        await seen(app, lambda text: "rows have changed since that plan" in text)
        assert ("migrate", "/p", "--apply", "--agreed", "h1", "--json") in commands.words
        assert not app.command_log.done


@pytest.mark.parametrize(
    ("outcome", "said", "is_done"),
    [
        ((0, _DONE, "starting p …"), "applied; the database of before", True),
        ((1, _DONE, "loading\nstarting p …\npylon: p did not start: app.py:3"),
         "applied, but it did not start: p did not start: app.py:3", True),
        ((0, '{"applied":false,"hash":"h1"}', ""), "nothing was left to apply", False),
    ],
)  # fmt: skip
async def test_what_was_applied_is_said_to_be(outcome: Outcome, said: str, is_done: bool) -> None:
    """Data is gone then, also where the app does not start; the command log has the line."""
    async with opened((100, 40)) as (app, admin, pilot):
        commands = Commands()
        commands.applied = outcome
        _hold(app, admin, commands)
        app.action_pane("schema")
        await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        await pilot.press("M", "y")
        async with asyncio.timeout(60):
            while not any(said in one.message for one in app._notifications):
                await asyncio.sleep(0.02)
        lines = ["pylon migrate --apply /p"] if is_done else []
        assert [one.line for one in app.command_log.done] == lines


async def test_nothing_ends_a_migration_that_is_being_applied() -> None:
    """What its process tells meanwhile has the plan read after it; it is not begun twice."""
    async with opened((100, 40)) as (app, admin, pilot):
        commands = Commands()
        commands.may_end.clear()
        _hold(app, admin, commands)
        app.action_pane("schema")
        await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        await pilot.press("M", "y")
        await seen(app, lambda text: "applying the migration" in text)
        reads = commands.reads
        _hold(app, admin, commands)
        await pilot.press("M")
        await seen(app, lambda text: "it is being applied" in text)
        assert commands.reads == reads
        commands.may_end.set()
        await seen(app, lambda text: "applied; the database of before" in text)
        await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        assert commands.reads == reads + 1


async def test_in_production_it_waits_for_the_lock() -> None:
    """As every change does; the question then says where one is."""
    async with opened((100, 40)) as (app, admin, pilot):
        app.state.fold(status(environment="production"), app.clock.monotonic())
        _hold(app, admin, Commands())
        app.action_pane("schema")
        await seen(app, lambda text: "LOSES DATA: drop Note.more" in text)
        await pilot.press("M")
        await seen(app, lambda text: "PRODUCTION is read-only here" in text)
        app.state.is_unlocked = True
        await pilot.press("M")
        await seen(app, lambda text: "This is PRODUCTION." in text and "Apply this" in text)


async def test_a_long_plan_is_laid_out_once_and_in_part() -> None:
    """Not with each status of the stream: that would take the keys."""
    async with opened((100, 40)) as (app, admin, _):
        commands = Commands()
        commands.refusal = "x" * 10 * LAID_OUT_CHARACTERS_MAX
        _hold(app, admin, commands)
        app.action_pane("schema")
        await seen(app, lambda text: "Its plan is not known" in text)
        pane = app.pane
        pane.refresh_from()
        assert len(str(pane.query_one("#schema-plan-text", Static).content)) < (
            1.1 * LAID_OUT_CHARACTERS_MAX
        )
        shown = pane._seen
        app.state.touch("status")
        pane.refresh_from()
        assert pane._seen == shown


async def test_what_rows_stand_against_is_not_asked_about() -> None:
    """No consent helps there: a save does."""
    async with opened((100, 40)) as (app, admin, pilot):
        _hold(app, admin, Commands(blockers=["2 duplicates in Note.text"]))
        app.action_pane("schema")
        await seen(app, lambda text: "A save that fits them starts the runtime" in text)
        await pilot.press("a")
        await seen(app, lambda text: "rows stand against it" in text)


async def test_a_plan_that_can_not_be_read_says_why() -> None:
    """As where the app was saved with a mistake meanwhile."""
    async with opened((100, 40)) as (app, admin, _):
        commands = Commands()
        commands.refusal = "pylon: app.py:3: no such name"
        _hold(app, admin, commands)
        app.action_pane("schema")
        await seen(app, lambda text: "Its plan is not known: pylon: app.py:3" in text)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A project whose next start waits for a decision."""
    folder = make_held(tmp_path / "held", f'{NARROW}\nprint("loading", end="")\n')
    yield folder
    end(folder)


def test_a_cold_start_is_no_dead_end(held: Path) -> None:
    """The dashboard tells the plan of the closed database, and applies it when it is told to."""
    other = pylon("migrate", str(held), "--apply", "--agreed", "another", code=1)
    assert "have changed since that plan" in other.stderr
    terminal = Terminal(str(held), columns=100, lines=40)
    terminal.until(lambda text: "stopped: a migration waits (M)" in text)
    terminal.press(":schema\r")
    terminal.until(lambda text: "LOSES DATA: drop Note.more: 3 rows have a value" in text)
    terminal.press("a")
    terminal.until(lambda text: "Apply this migration, and start held?" in text)
    terminal.press("y")
    terminal.until(lambda text: "● held dev" in text and "NAME" in text and "text" in text)
    assert "before-migration" in pylon("branch", "list", "--project", str(held)).stdout
    (held / "app.py").write_text(WIDE.replace("more", "other"))
    terminal.until(lambda text: "other" in text)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
