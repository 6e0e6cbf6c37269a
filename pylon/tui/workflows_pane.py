"""The pane of workflows: how many runs are in which state above, the runs below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import workflows_tables
from pylon.tui.copying import Copies
from pylon.tui.entry import Entry
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.screens.run import RunScreen
from pylon.tui.widgets.line_list import LineList
from pylon.tui.workflow_actions import RUN_VERBS, WorkflowActions
from pylon.tui.workflows import Workflows

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_FIGURES_SHARE: Final = 4
_HINT: Final = "enter opens · s signal · c cancel · r retry · e rerun · tab workflows · T clock"


class WorkflowsPane(Pane):
    """Runs of workflows, with what each waits for."""

    lead = "Run"
    verbs = RUN_VERBS
    parts = ("workflows",)
    filter_hint = (
        "search: words in name, error, id, what it waits for; state:parked name: key: !not"
    )
    fields = workflows_tables.SEARCHED
    DEFAULT_CSS = """
    WorkflowsPane #runs-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    WorkflowsPane #runs-note.bad { color: $text-error; }
    WorkflowsPane #flows { height: 2; }
    WorkflowsPane #runs { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *RUN_VERBS,
        Binding("tab,shift+tab", "other_list", "Workflows, or runs", show=False, id="other-list"),
    ]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._workflows = Workflows(app, admin)
        self.actions = WorkflowActions(app, admin)
        self._clock = app.clock
        self._drawn: tuple[int, int] = (-1, -1)

    def compose(self) -> ComposeResult:
        """Lay out a line of news, workflows and runs."""
        yield Static(id="runs-note", markup=False)
        yield LineList(
            workflows_tables.figure_line, head=workflows_tables.figures_head, id="flows",
            is_bad=workflows_tables.is_bad_figure,
            empty="No workflow yet: one is declared with @app.workflow.",
        )  # fmt: skip
        yield LineList(
            workflows_tables.run_line, head=workflows_tables.runs_head, id="runs",
            is_bad=workflows_tables.is_bad_run,
            empty="No run is found. One comes from ctx.workflows.start or pylon workflows start.",
        )  # fmt: skip

    @property
    def list(self) -> LineList:
        """Return the list of runs."""
        return self.query_one("#runs", LineList)

    @property
    def flows(self) -> LineList:
        """Return the list of workflows."""
        return self.query_one("#flows", LineList)

    def keep_current(self) -> None:
        """Ask for runs that moved; times that are left pass by themselves."""
        self._workflows.keep_current(self.terms, self.list.cursor)
        now = (int(self._clock.monotonic()), self.state.version_of("workflows"))
        if now != self._drawn:
            self._drawn = now
            self.show()

    def ask_again(self) -> None:
        """Have what is in sight read again."""
        self._workflows.ask_again()

    def show(self) -> None:
        """Show workflows and runs as they are held."""
        found = self.state.workflows
        now_ms = self.state.app_ms(self._clock.now_ms())
        height = 1 + max(1, min(len(found.figures), max(2, self.size.height // _FIGURES_SHARE)))
        given = self.flows.styles.height
        if self.zoomed is None and (given is None or given.value != height):
            self.flows.styles.height = height
        is_read = found.has_more is not None
        self.flows.show(
            found.figures, key=lambda row: row["name"], total=len(found.figures),
            is_read=is_read or "workflows" in self.state.told,
        )  # fmt: skip
        rows = [workflows_tables.drawn(one, now_ms) for one in found.rows]
        total = found.total if found.has_more and not found.search else len(rows)
        # At the top one sees the newest; elsewhere the cursor stays on its run.
        key = None if self.list.cursor == 0 else _id_of
        self.list.show(rows, key=key, total=max(total, len(rows)), is_read=is_read)
        line = self.query_one("#runs-note", Static)
        line.set_class(found.note.startswith(("STALE", "✗")), "bad")
        said = found.note or self.actions.doing or self._quiet()
        line.update(clean_block(f" {said}"), layout=False)

    def _quiet(self) -> str:
        """Return what the first line says where there is no news: the hint, or what is left out."""
        found = self.state.workflows
        if found.has_more and found.search:
            return f"the newest {len(found.rows):,} of those that are found; {_HINT}"
        return _HINT

    @property
    def is_troubled(self) -> bool:
        """Tell whether runs have failed: figures are told, runs are read once they are seen."""
        return any(workflows_tables.is_bad_figure(one) for one in self.state.workflows.figures)

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show a run on a screen of its own."""
        given = (self._dashboard, self._admin, self.actions, str(row["id"]))
        self.app.push_screen(RunScreen(*given, self.ask_again))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied of a run."""
        return workflows_tables.run_copies(row)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show the runs of a workflow that was chosen; a run is the dashboard's to show."""
        if event.list.id == "flows":
            event.stop()
            line = f"name:{event.row['name']}"
            given = self.app.query_one("#filter", Input)
            given.add_class("shown")
            given.value = line
            self.filter(line)
            self.list.focus()

    def action_other_list(self) -> None:
        """Go over to the workflows, or back to the runs."""
        (self.list if self.flows.has_focus else self.flows).focus()

    def action_run(self, name: str) -> None:
        """Do something to the run under the cursor."""
        run, again = self.list.current, self._workflows.ask_again
        if run is None:
            say(self.app, "there is no run under the cursor")
        elif name == "rerun":
            self.actions.rerun(run, None, again)
        else:
            getattr(self.actions, name)(run, again)


def _id_of(row: dict[str, Any]) -> str:
    return str(row["id"])


SCREEN = Entry(
    "workflows", "Workflows", "runs and what they wait for; signal, cancel, retry, rerun",
    WorkflowsPane, key="7", verbs=RUN_VERBS,
    first=(
        ("enter", "all about it: timeline, waits, error; on a workflow: its runs"),
        ("tab", "over to the workflows, and back; on a run: to what stands below"),
    ),
    last=(
        ("enter", "on a run: all about the step, or over to the child under the cursor"),
        ("backspace", "there: back to where you came from"), ("u", "there: to its parent"),
        ("v", "there: the journal whole, with all values"),
        ("y", "Copy: id, command, key, error, traceback, JSON"),
        ("T", "Clock: to what is due next (pylon clock next)"),
        ("/", "Search: words, state:parked, name: key: user: cause:, !not"),
    ),
)  # fmt: skip
