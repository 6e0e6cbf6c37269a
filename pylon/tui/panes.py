"""The panes of the dashboard: each shows one part of the state and draws only when it is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from pylon.printable import clean_block
from pylon.tui import tables
from pylon.tui.model import DashboardState, matches_change
from pylon.tui.policies_text import passes_policy, rows_of
from pylon.tui.widgets.line_list import LineList

#: States of the process in which what it said of itself still holds.
_ALIVE = ("running", "attached", "hung", "stopping")


class Pane(Vertical):
    """One pane; `refresh_from` shows the state if it changed since the last time."""

    #: What the help and the header call it.
    title_text = ""
    #: What stands in the empty filter line.
    filter_hint = "filter: words; a ! before them turns it round"
    #: The parts of the state that it shows.
    parts: tuple[str, ...] = ()

    def __init__(self, state: DashboardState) -> None:
        super().__init__(id=type(self).__name__.removesuffix("Pane").lower())
        self.state = state
        self._seen: tuple[int, ...] = ()
        self.terms = ""

    def refresh_from(self, *, force: bool = False) -> None:
        """Show the state if one of the pane's parts changed."""
        versions = tuple(self.state.version_of(part) for part in self.parts)
        if force or versions != self._seen:
            self._seen = versions
            self.show()

    def show(self) -> None:
        """Show the state."""

    def keep_current(self) -> None:
        """Do what is to be done at each frame while the pane is seen."""

    def filter(self, terms: str) -> None:
        """Show only what passes a filter line."""
        self.terms = terms
        self.refresh_from(force=True)

    @property
    def list(self) -> LineList | None:
        """Return the pane's list, where it has one."""
        found = self.query(LineList)
        return found.first() if found else None


def passes(row: dict[str, Any], terms: str) -> bool:
    """Tell whether a row has the words of a filter line, in any of its values."""
    line = terms.strip().lower()
    is_inverse = line.startswith("!")
    words = line.removeprefix("!").split()
    if not words:
        return True
    whole = " ".join(str(value) for value in row.values()).lower()
    return all(word in whole for word in words) is not is_inverse


class LogPane(Pane):
    """The tail of the change log."""

    title_text = "Log"
    filter_hint = "filter: words, entity:Message, user:ada, !not"
    parts = ("changes",)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.change_line, follows=True, head=tables.HEADS["changes"],
            empty="No change yet. Write something: it shows here the moment it is committed.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the changes that pass the filter."""
        rows = [one for one in self.state.changes if matches_change(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: row["seq"], total=len(self.state.changes))


class ClientsPane(Pane):
    """Every connection and every known client."""

    title_text = "Clients"
    parts = ("clients",)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.client_line, head=tables.HEADS["clients"],
            empty="Nobody is connected. Press o to open the app in a browser.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the clients."""
        rows = [one for one in self.state.clients if passes(one, self.terms)]
        assert self.list is not None
        self.list.show(
            rows,
            key=lambda row: (row["connection_id"], row["client_id"]),
            total=len(self.state.clients),
        )


class MailPane(Pane):
    """What was sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "app.templates", "Preview a template", show=False)
    ]
    title_text = "Mail"
    parts = ("mail",)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.mail_line, follows=True, head=tables.HEADS["mails"],
            empty="No mail was sent. Sign in on the page: the code arrives here, y copies it.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the mails."""
        rows = [one for one in self.state.mails if passes(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: row["id"], total=len(self.state.mails))


class PoliciesPane(Pane):
    """Who may do what, in words."""

    title_text = "Policies"
    parts = ("policies",)

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.policy_line, head=tables.HEADS["policies"],
            empty="The policies are being worked out …",
        )  # fmt: skip

    def show(self) -> None:
        """Show the policies that pass the filter."""
        found = rows_of(self.state.policies)
        rows = [one for one in found if passes_policy(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: (row["entity"], row["access"]), total=len(found))


class RuntimePane(Pane):
    """Process, health, reload errors, hang stacks and the runtime's own log."""

    title_text = "Runtime"
    parts = ("status", "lines", "reload", "policies")

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


class AppsPane(Pane):
    """The launcher: known projects."""

    title_text = "Apps"
    parts = ("projects",)

    def __init__(
        self, state: DashboardState, projects: Callable[[], list[dict[str, Any]]],
        choose: str | None = None,
    ) -> None:  # fmt: skip
        """Make the pane; `choose` is what the footer calls enter, None for nothing."""
        super().__init__(state)
        self._choose = choose
        self._projects = projects

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield LineList(
            tables.project_line, head=tables.HEADS["projects"],
            empty="No project yet. Press c to create one, or run pylon in a project's folder.",
            choose=self._choose,
        )  # fmt: skip

    def show(self) -> None:
        """Show the projects."""
        projects = self._projects()
        rows = [one for one in projects if passes(one, self.terms)]
        assert self.list is not None
        self.list.show(rows, key=lambda row: row["path"], total=len(projects))
