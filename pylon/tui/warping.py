"""The clock of the app, moved from the dashboard: asked for, on its way in the header, and told."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.clock import ahead_text
from pylon.tui.dialogs import Menu, Prompt
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_GROUP: Final = "clock"
_PATH: Final = "admin/clock"
_SAID_SECONDS: Final = 8
_LOOK_SECONDS: Final = 0.3
_OTHER: Final = "other"


class Warping:
    """Moves the clock of one dashboard's runtime; in development only."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin

    def ask(self) -> None:
        """Ask where to, and go."""
        clock = self._app.state.status.get("clock")
        if clock is None:
            if not self._app.state.status:
                say(self._app, "the runtime is not up yet")
                return
            say(self._app, "only `pylon dev` has a clock to warp", seconds=5)
            return
        self._app.push_screen(Menu(_title(clock), _options(clock)), self._chosen)

    def _chosen(self, choice: str | None) -> None:
        if choice == _OTHER:
            self._app.push_screen(
                Prompt("Move the clock to", "+3d, +1h30m, 2026-12-24T09:00Z"),
                lambda text: self._go(text) if text else None,
            )
        elif choice is not None:
            self._go(choice)

    def _go(self, to: str) -> None:
        self._app.run_worker(self._move(to), name="clock", group=_GROUP)

    async def _move(self, to: str) -> None:
        try:
            found = await self._admin.post(_PATH, {"to": to})
            while found["journey"] is not None:
                await asyncio.sleep(_LOOK_SECONDS)
                found = await self._admin.get(_PATH)
        except AdminError as error:
            hint = f"\n{error.hint}" if error.hint else ""
            say(self._app, f"{error.message}{hint}", title="✗ clock", seconds=_SAID_SECONDS,
                is_bad=True)  # fmt: skip
            return
        self._app.state.status["clock"] = found
        self._app.command_log.note_said("clock", told(found, to))
        say(self._app, told(found, to), title="⏲ clock", seconds=_SAID_SECONDS)


def _title(clock: dict[str, Any]) -> str:
    ahead = ahead_text(clock["offset_ms"])
    return f"Clock: {clock['now'][:19].replace('T', ' ')}Z, {ahead or 'the time of this machine'}"


def _options(clock: dict[str, Any]) -> list[tuple[str, str]]:
    if clock["journey"] is not None:
        return [("stop", "stop     where it has come to")]
    due = clock["next"]
    options = [] if due is None else [("next", f"next     {due['at'][:19]}Z  {due['name']}")]
    options += [
        ("+1h", "+1h      an hour"), ("+1d", "+1d      a day"), ("+7d", "+7d      a week"),
        (_OTHER, "other …  +3d, +1h30m, or a time"),
    ]  # fmt: skip
    if clock["offset_ms"]:
        options.append(("reset", "reset    back to the time of this machine"))
    return options


def told(found: dict[str, Any], to: str) -> str:
    """Return what a move led to, and its line for the shell."""
    last = found["last"]
    lines = [f"it is {found['now'][:19].replace('T', ' ')}Z"]
    if last is not None and to not in ("reset", "stop"):
        ran = ", ".join(f"{name} {count}" for name, count in sorted(last["ran"].items()))
        lines.append(f"ran: {ran or 'nothing'}")
        if last["ran_on"]:
            lines.append(f"runs on: {', '.join(last['ran_on'])}")
        if last["stopped"]:
            lines.append(f"not there: {last['stopped']}")
    return "\n".join([*lines, f"$ {shlex.join(['pylon', 'clock', to])}"])
