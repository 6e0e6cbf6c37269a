"""The first line: app, environment, branch, port, head, clients, writes, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from pylon.clock import ahead_text
from pylon.printable import clean
from pylon.tui.crumbs import ARROW, breadcrumb, shortened
from pylon.tui.model import DashboardState
from pylon.tui.muted import muted_style

_GLYPHS = {
    "running": ("●", "good"), "starting": ("◔", "warn"), "stopping": ("◑", "warn"),
    "backing off": ("◔", "warn"), "hung": ("◍", "bad"), "failed": ("✗", "bad"),
    "stopped": ("○", "quiet"), "gone": ("✗", "bad"), "attached": ("●", "good"),
}  # fmt: skip
#: Signs of the past: of one cell in every font, and of the letters that every terminal has.
PAST, PAST_ASCII = "◀", "<"
#: A proven backup that is older deserves a look, in production.
_OLD_SECONDS = 2 * 86_400
#: Of the line's width, the breadcrumbs' at most.
_TRAIL_SHARE = 0.4
#: The numbers that breadcrumbs leave room for: the port, and the errors.
_KEPT_NUMBERS = 2
#: Of the line's width, what the name of another machine takes at most: one part of so many.
_MACHINE_SHARE, _MACHINE_LEAST = 4, 8
#: Where among the pieces it stands: behind the sign and the name of the app.
_BEHIND_APP = 2
#: Wider than any line.
_WIDTH = 1_000
#: (text, style name) pieces of the line; a style name is one of the component classes.
Pieces = list[tuple[str, str]]


class HeaderLine(Static):
    """One line, never wrapped; what matters most stands first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "header--plain", "header--good", "header--bad", "header--warn",
        "header--strong", "header--alarm", "header--loud",
    }  # fmt: skip
    # Colours of the theme and none by name: without colour, dark red on dark grey is nothing.
    DEFAULT_CSS = """
    HeaderLine { height: 1; width: 100%; background: $panel; color: $foreground;
        text-wrap: nowrap; text-overflow: ellipsis; }
    HeaderLine > .header--good { color: $text-success; }
    HeaderLine > .header--bad { color: $text-error; text-style: bold; }
    HeaderLine > .header--warn { color: $text-warning; text-style: bold; }
    HeaderLine > .header--strong { text-style: bold; }
    HeaderLine > .header--alarm { color: $text-error; text-style: bold reverse; }
    HeaderLine > .header--loud { color: $text-warning; text-style: bold reverse; }
    """

    _pieces: Pieces | None = None

    def notify_style_update(self) -> None:
        """Draw anew with the colours of another theme."""
        super().notify_style_update()
        self._pieces = None

    def show(
        self, state: DashboardState, now: float, *, is_paused: bool, place: str,
        trail: Sequence[str], signs: tuple[str, str],
    ) -> None:  # fmt: skip
        """Show the state of this moment.

        Args:
            state: what the dashboard knows.
            now: monotonic seconds.
            is_paused: nothing is drawn.
            place: what is seen.
            trail: what one came through to it.
            signs: of what is shown as of before, and between two places.
        """
        width = self.size.width or _WIDTH  # before it is laid out
        pieces = header_pieces(
            state, now, is_paused=is_paused, place=place, width=width, trail=trail, signs=signs
        )  # fmt: skip
        if pieces == self._pieces:
            return
        self._pieces = pieces
        text = Text(no_wrap=True, overflow="ellipsis")
        for piece, name in pieces:
            text.append(piece, style=self._style(name))
        self.update(text)

    def _style(self, name: str) -> Style:
        if name == "quiet":
            return muted_style(self)
        return self.get_component_rich_style(f"header--{name}", partial=True)


def header_pieces(
    state: DashboardState, now: float, *, is_paused: bool, place: str, width: int = _WIDTH,
    trail: Sequence[str] = (), signs: tuple[str, str] = (PAST, ARROW),
) -> Pieces:  # fmt: skip
    """Return the line's pieces: what is wrong stands before every number.

    Numbers that have no room are left out, whole: half a number is another one. What one came
    through is cut before port and errors are left out, or anything that is wrong.
    """
    past, arrow = signs
    status = state.status
    glyph, style = _GLYPHS.get(state.process_state, ("?", "warn"))
    line: Pieces = [(f" {glyph} ", style), (clean(state.app_name), "strong")]
    if status.get("environment") == "production":
        line += [(" ", "plain"), (" PROD ", "alarm")]
        line.append((" UNLOCKED (W)", "bad") if state.is_unlocked else (" read-only (W)", "quiet"))
    elif status:
        line.append((" dev", "quiet"))
    if status.get("branch"):
        is_main = status["branch"] == "main"
        line.append((f" ⎇ {clean(status['branch'])}", "quiet" if is_main else "loud"))
    rest = [*_troubles(state, now, style), *_warp(status.get("clock") or {})]
    if state.data.as_of is not None:
        rest += [("  ", "plain"), (f"{past} AS OF seq {state.data.as_of:,} (esc: now)", "loud")]
    if is_paused:
        rest += [("  ", "plain"), ("⏸ PAUSED (p goes on)", "loud")]
    if state.machine:
        # Its end goes first: hosts are told apart by their beginning, and the rest has to fit.
        room = width - _cells([*line, *rest]) - cell_len(f" on   {place}")
        room = max(_MACHINE_LEAST, min(room, width // _MACHINE_SHARE))
        line.insert(_BEHIND_APP, (f" on {shortened(clean(state.machine), room)}", "plain"))
    numbers = _numbers(state) if status else []
    free = width - _cells([*line, *rest, *numbers[:_KEPT_NUMBERS]]) - 2
    whole = breadcrumb(trail, place, min(free, int(width * _TRAIL_SHARE)), arrow)
    line += [(f"  {whole}", "strong"), *rest]
    for piece in numbers:
        if _cells([*line, piece]) > width:
            break
        line.append(piece)
    return line


def _cells(pieces: Pieces) -> int:
    return sum(cell_len(text) for text, _ in pieces)


def _warp(clock: dict[str, Any]) -> Pieces:
    """Return what a warped clock says; nothing where it is the machine's."""
    journey = clock.get("journey")
    if not clock.get("offset_ms") and journey is None:
        return []
    text = f"⏲ {clock['now'][:16].replace('T', ' ')}Z"
    if journey is not None:
        text += f", on its way: {sum(journey['ran'].values())} ran"
    else:
        text += f", {ahead_text(clock['offset_ms'])}"
    return [("  ", "plain"), (f"{text} (T)", "loud")]


def _troubles(state: DashboardState, now: float, style: str) -> Pieces:
    line: Pieces = []
    if state.is_held:
        line.append(("  stopped: a migration waits (M)", style))
    elif state.process_state not in ("running", "attached"):
        why = f": {clean(state.process_why)}" if state.process_why else ""
        line.append((f"  {state.process_state}{why}", style))
    elif state.is_stale(now):
        line.append(("  STALE: no news for 2 s", "warn"))
    elif state.is_behind:
        line.append((f"  BEHIND: this was {state.behind_s:.0f} s ago", "warn"))
    if state.mistakes:
        line.append(("  ✗ reload failed (n: why)", "bad"))
    if (state.status.get("backup") or {}).get("last_state") == "failed":
        line.append(("  ✗ backup failed", "bad"))
    return line


def _backup(backup: dict[str, Any], *, is_dev: bool) -> tuple[str, str]:
    """Return how old the last proven backup is: one that was never restored is a hope."""
    age = backup.get("proven_age_s")
    if age is None:
        return "  ? no proven backup", "quiet" if is_dev else "warn"
    is_old = age > _OLD_SECONDS and not is_dev
    return f"  ✓ proven {age_text(age)} ago", "warn" if is_old else "quiet"


def age_text(seconds: int) -> str:
    """Return an age for people: `3 h`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _numbers(state: DashboardState) -> Pieces:
    status = state.status
    clients, errors = status["clients"], status["errors"]
    line: Pieces = [
        (f"  :{status['port']}", "plain"),
        (f"  {errors} error{'' if errors == 1 else 's'}", "bad" if errors else "quiet"),
    ]
    if "backup" in status:
        line.append(_backup(status["backup"], is_dev=status["environment"] != "production"))
    line += [
        (f"  {clients} client{'' if clients == 1 else 's'}", "plain"),
        (f"  head {state.head}", "quiet"),
        (f"  {state.writes_per_second():.0f} writes/s", "plain"),
    ]
    if state.dropped:
        line.append((f"  {state.dropped:,} not shown", "warn"))
    return line
