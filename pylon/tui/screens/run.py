"""One run of a workflow: its timeline, what it waits for, why it stopped, and its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.tui import run_timeline, workflows_tables
from pylon.tui.dialogs import Details
from pylon.tui.saying import say
from pylon.tui.screens.above import CloseUp, Scrolling
from pylon.tui.verbs import in_footer
from pylon.tui.widgets.line_list import LineList
from pylon.tui.workflow_actions import RUN_VERBS, WorkflowActions

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class RunScreen(CloseUp, Scrolling):
    """Everything about a run, asked anew twice a second; a long journal less often."""

    CSS = """
    RunScreen #steps { height: 1fr; min-height: 4; }
    RunScreen VerticalScroll { height: 45%; border-top: solid $primary; }
    RunScreen VerticalScroll:focus { border-top: heavy $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace", "dismiss", "Back", show=False, id="runs.back"),
        *in_footer(RUN_VERBS),
        Binding("v", "journal", "Values", id="runs.values"),
        Binding("y", "copy", "Copy", show=False, id="copy"),
        Binding(
            "tab,shift+tab",
            "other_part",
            "Steps, or what stands below",
            show=False,
            id="other-list",
        ),
        Binding("u", "parent", "Its parent", show=False, id="runs.parent"),
    ]
    title_text, pane = "Run", "workflows"
    lead, verbs = "Run", RUN_VERBS

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: WorkflowActions, run_id: str,
        again: Callable[[], None],
    ) -> None:  # fmt: skip
        """Make the screen of a run; `again` has the list of runs read again."""
        super().__init__(dashboard, admin)
        self._actions = actions
        self._run_id = run_id
        self._again = again

    @property
    def crumb(self) -> str:
        """Return of what it is a run."""
        return self.title_text if self.found is None else str(self.found["name"])

    @property
    def path(self) -> str:
        """Return where the runtime is asked about it."""
        return f"admin/workflows/{self._admin.quoted(self._run_id)}"

    @property
    def news(self) -> str:
        """Return what is under way, or which run it is and in which state."""
        assert self.found is not None
        sign = workflows_tables.SIGNS.get(self.found["state"], ("", ""))[0]
        return self._actions.doing or f"{sign} {self.found['name']} {self.found['id']}"

    def body(self) -> Iterator[Widget]:
        """Lay out news, the timeline, and what is to be said about the run."""
        yield Static(id="news", markup=False)
        yield LineList(
            run_timeline.step_line, head=run_timeline.steps_head, id="steps",
            is_bad=run_timeline.is_bad_step,
            empty="Nothing is recorded yet.",
        )  # fmt: skip
        with VerticalScroll():
            yield Static(id="about-run", markup=False)

    def on_mount(self) -> None:
        """Be ready to choose a step."""
        self._steps.focus()

    @property
    def _steps(self) -> LineList:
        return self.query_one("#steps", LineList)

    def ask_again(self) -> None:
        """Ask at once, and for the list, too."""
        self._again()
        super().ask_again()

    @property
    def _now_ms(self) -> int:
        return self._dashboard.state.app_ms(self._dashboard.clock.now_ms())

    def show(self) -> None:
        """Show timeline and run."""
        assert self.found is not None
        rows = run_timeline.timeline(self.found, self._now_ms)
        self._steps.show(rows, key=lambda row: row["step"])
        words = run_timeline.about_run(
            self.found, self._now_ms, self.size.width, is_dev=self._actions.is_dev
        )
        self.show_words("#about-run", words)

    # --- what the keys do

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Go to the child under the cursor, or show all about the step."""
        event.stop()
        row = event.row
        if row["kind"] == "child" and row["run"]:
            self._go(str(row["run"]))
        else:
            self.app.push_screen(Details(f"step {row['step']}", run_timeline.step_words(row)))

    def _go(self, run_id: str) -> None:
        given = (self._dashboard, self._admin, self._actions, run_id, self._again)
        self.app.push_screen(RunScreen(*given))

    def action_parent(self) -> None:
        """Go to the run that waits for this one."""
        parent = None if self.found is None else self.found["parent"]
        if parent is None:
            say(self.app, "no run waits for it")
        else:
            self._go(str(parent))

    def action_other_part(self) -> None:
        """Go over to what stands below, or back to the steps."""
        below = self.query_one(VerticalScroll)
        (self._steps if below.has_focus else below).focus()

    def action_run(self, name: str) -> None:
        """Do something to the run; rerun: from the step under the cursor."""
        if self.found is None:
            return
        if name == "rerun":
            self._rerun()
        else:
            getattr(self._actions, name)(self.found, self.ask_again)

    def _rerun(self) -> None:
        assert self.found is not None
        row = self._steps.current
        step = None if row is None else str(row["step"])
        if row is not None and row["kind"] == "gather":  # it begins with its first step
            step = str(row["first"])
        self._actions.rerun(self.found, step, self.ask_again)

    def action_journal(self) -> None:
        """Show the journal whole, with all values."""
        if self.found is not None:
            rows = run_timeline.timeline(self.found, self._now_ms)
            words = run_timeline.journal_words(self.found, rows)
            title = f"Journal of {workflows_tables.title_of(self.found)}"
            self.app.push_screen(Details(title, words))

    def action_copy(self) -> None:
        """Offer what can be copied."""
        if self.found is not None:
            self._dashboard.offer_copies(workflows_tables.run_copies(self.found))
