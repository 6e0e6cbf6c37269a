"""The pane of health: the process, what is wrong, figures of the last minutes, what is held."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import beginning, clean_block
from pylon.tui import health_tables, tables
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.held import held_advice, held_words
from pylon.tui.panes import Pane
from pylon.tui.polling import Polling
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: States of the process in which what it said of itself still holds.
_ALIVE = ("running", "attached", "hung", "stopping")
_EVERY_SECONDS: Final = 1.0
_KEPT: Final = 300
VERBS: Final = (
    Verb("d", "health('doctor')", "Doctor: what is wrong, and what mends it", id="health.doctor",
         cli="doctor"),
    Verb("l", "health('log')", "The runtime's log", id="health.log"),
)  # fmt: skip


class HealthPane(Pane):
    """Process, reload errors, hang stacks; figures with their past, memory, what costs most."""

    lead = "Health"
    verbs = VERBS
    shows_when_paused = True
    filters = (health_tables.HEALTH_FILTER,)
    parts = ("status", "held", "reload", "policies", "health")
    BINDINGS: ClassVar[list[BindingType]] = [*VERBS]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._found: dict[str, Any] = {}
        self._samples: dict[str, deque[float]] = {}
        self._count = 0
        self._said = ""
        #: What the text of what is wrong shows.
        self._told = ""
        self._polling = Polling(
            app, admin, "health", every_s=_EVERY_SECONDS, take=self._take,
            question=lambda: {"since": self._count},
        )  # fmt: skip

    def _take(self, answer: dict[str, Any]) -> None:
        """Take what is new of the figures, and the rest as it is now."""
        if answer["count"] < self._count:  # another process: it counts from nothing
            self._samples, self._count = {}, 0
        for name, values in answer["samples"].items():
            self._samples.setdefault(str(name), deque(maxlen=_KEPT)).extend(map(float, values))
        self._count, self._found = int(answer["count"]), answer
        self.state.touch("health")

    def compose(self) -> ComposeResult:
        """Lay out the facts, what is wrong, and the figures."""
        yield Static(id="facts", markup=False)
        with VerticalScroll(id="trouble"):
            yield Static(id="trouble-text", markup=False)
        yield LineList(
            health_tables.health_line, is_bad=health_tables.is_bad_row,
            empty="No figures yet: one comes each second.",
        )  # fmt: skip

    def keep_current(self) -> None:
        """Ask for what is new."""
        self._polling.keep_current()
        note = self._polling.note
        if note != self._said:
            self._said = note
            self.refresh_from(force=True)

    def ask_again(self) -> None:
        """Have the figures read again at once."""
        self._polling.ask_again()

    def show(self) -> None:
        """Show everything about the process and its figures."""
        self.query_one("#facts", Static).update(self._facts())
        trouble = self.trouble
        self.query_one("#trouble").display = bool(trouble)
        if trouble != self._told:  # laid out anew each second, a long one would take the keys
            self._told = trouble
            self.query_one("#trouble-text", Static).update(trouble)
        found = health_tables.rows_of(
            self._found, self._samples, max(20, self.size.width), self._dashboard.charts
        )
        rows = self.passing(found)
        if trouble:  # also where there are no figures: something to copy it by
            text = " what is wrong stands above: y copies it"
            rows.insert(0, {"key": "trouble", "text": text, "style": "bad", "whole": trouble})
        assert self.list is not None
        self.list.show(
            rows, key=lambda row: row["key"], total=len(found), is_read=bool(self._found)
        )

    @property
    def is_troubled(self) -> bool:
        """Tell whether something is wrong with the process or its last reload."""
        return self.state.has_trouble

    def into_trouble(self) -> bool:
        """Go into the text that says what is wrong, so that it can be scrolled; else to the list.

        Tells whether it did: from the text it goes on to a line of the list that is bad.
        """
        text = self.query_one("#trouble")
        assert self.list is not None
        if not self.trouble or (text.has_focus and self.list.bad_places()):
            return False
        (self.list if text.has_focus else text).focus()
        return True

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
                f" + {tables.size_text(status['wal_bytes'])} log · commit {status['commit_ms']} ms"
                f" · writes {status['health']}",
                f" SQLite   {status['sqlite']} · {status['journal_mode']} ·"
                f" durability {status['synchronous']}{self._faults()}",
            ]
        if self._said:
            lines.append(f" figures  {self._said}")
        if state.reload_note:
            lines.append(f" reload   {state.reload_note}")
        change = state.policies.get("change")
        if change is not None:
            lines.append(f" policies {change['line']} (9)")
        return clean_block("\n".join(lines))

    def _faults(self) -> str:
        found = self._found.get("sqlite")
        return "" if found is None else f" · {health_tables.faults_words(found)}"

    @property
    def trouble(self) -> str:
        """Return what is wrong, as text to read; empty where nothing is."""
        state = self.state
        parts = []
        if state.is_held:
            parts.append(f"A migration that waits keeps the runtime from starting:\n\n"
                         f"{held_words(state)}\n\n{held_advice(state)}")  # fmt: skip
            if any(state.process_why not in one for one in state.mistakes):
                parts += ["The last save was not loaded:", *state.mistakes]
            return clean_block(beginning("\n\n".join(parts)))
        if state.mistakes and state.process_state == "failed":
            parts.append("\n\n".join(state.mistakes))
        elif state.mistakes:
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
                         "A save that mends it starts it again; so does ctrl+r.\n"
                         "l shows what it said.")  # fmt: skip
        if state.process_state == "hung" or state.stack:
            parts.append(f"The loop does not answer. It hangs here:\n\n{state.stack}")
        return clean_block(beginning("\n\n".join(parts)))

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show a line whole."""
        self.app.push_screen(Details(row["key"], row["whole"]))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer the line, and what is wrong."""
        wrong = [("what is wrong", self.trouble)] if self.trouble else []
        return [("line", str(row["whole"])), *wrong, ("command", "pylon health")]

    def action_health(self, name: str) -> None:
        """Go over to the doctor, or to the runtime's log."""
        self._dashboard.action_pane("doctor" if name == "doctor" else "runtime")


SCREEN = Entry(
    "health", "Health", "process, reload errors, figures, memory, what costs most", HealthPane,
    key="0", verbs=VERBS, first=(("enter", "all of a line: what the figure or collection is"),),
    last=(("y", "Copy: line, command, what is wrong"), ("/", "Filter: words")),
)  # fmt: skip
