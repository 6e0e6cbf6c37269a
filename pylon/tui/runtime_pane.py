"""The pane of the runtime: process, health, reload errors, hang stacks and its own log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import tables
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.panes import Pane, passes
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: States of the process in which what it said of itself still holds.
_ALIVE = ("running", "attached", "hung", "stopping")


class RuntimePane(Pane):
    """Process, health, reload errors, hang stacks and the runtime's own log."""

    shows_when_paused = True
    parts = ("status", "lines", "reload", "policies")

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)

    def compose(self) -> ComposeResult:
        """Lay out the facts and the log."""
        yield Static(id="facts", markup=False)
        with VerticalScroll(id="trouble"):
            yield Static(id="trouble-text", markup=False)
        yield LineList(tables.line_line, follows=True, empty="The runtime has printed nothing.")

    def show(self) -> None:
        """Show everything about the process."""
        self.query_one("#facts", Static).update(self._facts())
        trouble = self.trouble
        self.query_one("#trouble").display = bool(trouble)
        self.query_one("#trouble-text", Static).update(trouble)
        rows = [one for one in self.state.lines if passes({"text": one[1]}, self.terms)]
        assert self.list is not None
        self.list.show(rows)

    def _facts(self) -> str:
        state, status = self.state, self.state.status
        lines = [f" process  {state.process_state}"]
        if state.process_state in _ALIVE and status:
            lines[0] += f" · pid {status['pid']} · up {tables.duration_text(status['uptime_s'])}"
            lines[0] += f" · generation {status['generation']}"
        elif state.process_why:
            lines[0] += f": {state.process_why}"
        if state.restarts:
            lines[0] += f" · {state.restarts} restart{'' if state.restarts == 1 else 's'}"
        if state.process_state in _ALIVE and status:
            lines += [
                f" loop     lag {status['loop_lag_ms']} ms · memory {status['memory_mb']} MiB",
                f" storage  {tables.size_text(status['database_bytes'])}"
                f" + {tables.size_text(status['wal_bytes'])} log · commit {status['commit_ms']} ms",
                f" SQLite   {status['sqlite']} · {status['journal_mode']} ·"
                f" durability {status['synchronous']} · health {status['health']}",
            ]
        if state.reload_note:
            lines.append(f" reload   {state.reload_note}")
        change = state.policies.get("change")
        if change is not None:
            lines.append(f" policies {change['line']} (9)")
        return clean_block("\n".join(lines))

    @property
    def trouble(self) -> str:
        """Return what is wrong, as text to read; empty where nothing is."""
        state = self.state
        parts = []
        if state.mistakes:
            parts.append("The old version serves on. The new one has mistakes:\n\n"
                         + "\n\n".join(state.mistakes))  # fmt: skip
            if state.plan:
                parts.append("M applies this migration, after a question.")
        if state.is_attached and state.process_state == "gone":
            parts.append("The runtime does not answer. It was started elsewhere: look there, or\n"
                         "quit and run pylon again to start it here.")  # fmt: skip
        if state.process_state == "stopped":
            parts.append("The runtime was stopped from elsewhere. ctrl+r starts it again.")
        if state.process_state == "failed":
            parts.append(f"The runtime has failed: {state.process_why}.\n"
                         "A save that mends it starts it again; so does ctrl+r.")  # fmt: skip
        if state.process_state == "hung" or state.stack:
            parts.append(f"The loop does not answer. It hangs here:\n\n{state.stack}")
        return clean_block("\n\n".join(parts))

    async def open_row(self, row: Any) -> None:
        """Show a line of the log whole."""
        self.app.push_screen(Details("line", row[1]))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer what is wrong, too."""
        found = super().copies_of(row, url)
        return [*found, ("what is wrong", self.trouble)] if self.trouble else found


SCREEN = Entry("runtime", "Runtime", "process, health, reload errors, log", RuntimePane, key="0")
