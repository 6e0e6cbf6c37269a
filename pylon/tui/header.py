"""The first line: app, environment, port, head, clients, writes, errors, and what is wrong."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from pylon.printable import clean
from pylon.tui.model import DashboardState

_GLYPHS = {
    "running": ("●", "green"), "starting": ("◔", "yellow"), "stopping": ("◑", "yellow"),
    "backing off": ("◔", "yellow"), "hung": ("◍", "red"), "failed": ("✗", "red"),
    "stopped": ("○", "dim"), "gone": ("✗", "red"), "attached": ("●", "green"),
}  # fmt: skip


class HeaderLine(Static):
    """One line, never wrapped; what matters most stands first."""

    DEFAULT_CSS = """
    HeaderLine { height: 1; width: 100%; background: $panel; color: $foreground;
        text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def show(self, state: DashboardState, now: float, *, is_paused: bool, place: str) -> None:
        """Show the state of this moment."""
        self.update(header_text(state, now, is_paused=is_paused, place=place))


def header_text(state: DashboardState, now: float, *, is_paused: bool, place: str) -> Text:
    """Return the line."""
    status = state.status
    glyph, colour = _GLYPHS.get(state.process_state, ("?", "yellow"))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {glyph} ", style=colour)
    text.append(clean(status.get("app", "pylon")), style="bold")
    if status.get("environment") == "production":
        text.append(" PROD ", style="reverse bold red")
    elif status:
        text.append(" dev", style="dim")
    text.append(f"  {place}", style="bold")
    if state.process_state not in ("running", "attached"):
        text.append(f"  {state.process_state} {clean(state.process_why)}", style=colour)
    elif state.is_stale(now):
        text.append("  STALE: no news for 2 s", style="bold yellow")
    if is_paused:
        text.append("  ⏸ PAUSED (p goes on) ", style="reverse bold yellow")
    if state.mistakes:
        text.append("  ✗ reload failed (0) ", style="bold red")
    if status:
        text.append(f"  :{status['port']}")
        text.append(f"  head {status['head']}", style="dim")
        text.append(f"  {status['clients']} client{'' if status['clients'] == 1 else 's'}")
        text.append(f"  {state.writes_per_second():.0f} writes/s")
        errors = status["errors"]
        text.append(
            f"  {errors} error{'' if errors == 1 else 's'}", style="red" if errors else "dim"
        )
        if state.dropped:
            text.append(f"  {state.dropped} not shown", style="yellow")
    return text
