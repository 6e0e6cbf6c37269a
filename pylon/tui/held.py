"""A migration that keeps the runtime from starting: its plan, and consent to it.

Both come from `pylon migrate` in a process of its own, which is what a shell would do: no code of
the app runs in the dashboard. What does not live here: migrations that a running one holds back
(`reloading`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pylon import jsonvalue
from pylon.client.plan_text import effect_lines
from pylon.errors import InvalidJson
from pylon.tui.dialogs import Question
from pylon.tui.own_command import Outcome, run_pylon
from pylon.tui.saying import say
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.model import DashboardState

#: Groups of their own: an exclusive worker ends the others of its group, and none ends a migration.
_READING: Final = "held"
_APPLYING: Final = "held-apply"
_SAID_SECONDS: Final = 8


def held_words(state: DashboardState) -> str:
    """Return the plan of the migration that waits, or why it is not known (yet)."""
    found = state.held
    if found is None:
        return state.held_trouble or "Its plan is being read …"
    lines = [found["text"]] if found["text"] else []
    lines += effect_lines(found)
    lines += [f"  data migration {one['name']}: {one['state']}" for one in found["data"]
              if one["state"] != "applied"]  # fmt: skip
    return "\n".join(lines)


def held_advice(state: DashboardState) -> str:
    """Return what goes on from there."""
    if state.held is not None and state.held["blockers"]:
        return "Rows stand against it: change app.py. A save that fits them starts the runtime."
    return (
        "M applies it after a question, and the runtime starts; or take the change back and save."
    )


class Held:
    """The migration that keeps one dashboard's runtime from starting."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app
        #: Runs a command of Pylon's to its end.
        self.run: Callable[..., Awaitable[Outcome]] = run_pylon
        self._is_applying = False

    @property
    def _project(self) -> Path:
        project = self._app.command_log.project
        assert project is not None, "what is held lies on this machine"
        return project

    def take(self, process: str, why: str, *, is_held: bool) -> None:
        """Take a new state of the runtime's process, and have the plan read where one holds it."""
        self._app.state.note_process(process, why, is_held=is_held)
        self.look()

    def take_from_elsewhere(self, *, is_held: bool) -> None:
        """Take whether one holds a runtime that is supervised elsewhere."""
        state = self._app.state
        if state.is_held != is_held:
            state.is_held = is_held
            state.note_held(None)
            self.look()

    def look(self) -> None:
        """Have the plan read, where one holds it; while one is applied, that is done after it."""
        if self._app.state.is_held and self._app.is_running and not self._is_applying:
            begin(self._app, self._read, name="held", group=_READING)

    async def _read(self) -> None:
        state = self._app.state
        code, out, err = await self.run("migrate", str(self._project), "--json")
        found = None if code else _report_in(out)
        why = "" if found is not None else f"Its plan is not known: {err or 'nothing tells it'}"
        if state.is_held:
            state.note_held(found, why)

    def ask(self) -> None:
        """Ask whether to apply it, by what it does, and do it, where its plan is still this one."""
        state, found = self._app.state, self._app.state.held
        if self._app.production.objects():
            return
        if self._is_applying:
            say(self._app, "◔ it is being applied …")
            return
        if found is None:
            say(self._app, held_words(state), is_bad=bool(state.held_trouble))
            return
        if found["blockers"]:
            say(self._app, "rows stand against it: change app.py (0 shows them)", is_bad=True)
            return

        def answered(yes: bool | None) -> None:
            if yes and not self._is_applying:
                self._is_applying = True
                self._app.run_worker(self._apply(found["hash"]), name="held-apply", group=_APPLYING)

        first = "This is PRODUCTION.\n\n" if state.is_production else ""
        words = f"Apply this migration, and start {self._project.name}?\n\n{held_words(state)}"
        self._app.push_screen(Question(f"{first}{words}"), answered)

    async def _apply(self, agreed: str) -> None:
        say(self._app, "◔ applying the migration …")
        words = ("migrate", str(self._project), "--apply", "--agreed", agreed, "--json")
        try:
            code, out, err = await self.run(*words)
        finally:
            self._is_applying = False
        self._tell(code, _report_in(out), err)
        self.look()

    def _tell(self, code: int, report: dict[str, Any] | None, err: str) -> None:
        """Say what became of it: what was committed stays, also where the start failed after it."""
        if report is None:
            say(self._app, err, title="✗ it failed", seconds=_SAID_SECONDS, is_bad=True)
            return
        if not report["applied"]:
            say(self._app, "nothing was left to apply: ctrl+r starts it", seconds=_SAID_SECONDS)
            return
        # The command had whoever supervises the runtime start it.
        self._app.command_log.note("migrate", "pylon migrate --apply")
        if code:
            why = err.partition("pylon: ")[2] or err
            text = f"applied, but it did not start: {why}"
            say(self._app, text, seconds=_SAID_SECONDS, is_bad=True)
            return
        self._app.state.clear_trouble()
        say(self._app, "applied; the database of before is kept as a branch", seconds=_SAID_SECONDS)


def _report_in(out: str) -> dict[str, Any] | None:
    """Return what the command tells: all that stdout has, for what app.py prints is on stderr."""
    with suppress(InvalidJson):
        found = jsonvalue.parse(out.encode())
        return found if isinstance(found, dict) and "hash" in found else None
    return None
