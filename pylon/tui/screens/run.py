"""One run of a workflow: its timeline, what it waits for, why it stopped, and its journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean
from pylon.tui import run_timeline, workflows_tables
from pylon.tui.dialogs import Details
from pylon.tui.header import HeaderLine
from pylon.tui.keys import LEAVING
from pylon.tui.saying import say
from pylon.tui.widgets.line_list import LineList
from pylon.tui.workflow_actions import WorkflowActions

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_POLL_SECONDS: Final = 0.5
#: A long journal is read again after so many times as long as it took.
_REST: Final = 5.0
_REST_MAX_SECONDS: Final = 10.0
_OLD_SECONDS: Final = 2.0


class RunScreen(Screen[None]):
    """Everything about a run, asked anew twice a second."""

    CSS = """
    RunScreen #news { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RunScreen #news.bad { color: $text-error; }
    RunScreen #steps { height: 1fr; min-height: 4; }
    RunScreen VerticalScroll { height: 45%; scrollbar-size-vertical: 1;
        border-top: solid $primary; }
    RunScreen VerticalScroll:focus { border-top: heavy $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "dismiss", "Back", key_display="esc"),
        Binding("s", "run('signal')", "Signal"),
        Binding("r", "run('retry')", "Retry"),
        Binding("c", "run('cancel')", "Cancel"),
        Binding("e", "run('rerun')", "Rerun"),
        Binding("v", "journal", "Values"),
        Binding("y", "copy", "Copy", show=False),
        Binding("tab,shift+tab", "other_part", "Steps, or what stands below", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(10)", "Page down", show=False),
        Binding("pageup,ctrl+u", "scroll(-10)", "Page up", show=False),
        Binding("home,g", "scroll(-1000000)", "First", show=False),
        Binding("end,G", "scroll(1000000)", "Last", show=False),
        Binding("u", "parent", "Its parent", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        *[one for one in LEAVING if "help" not in one.action],
    ]

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: WorkflowActions, run_id: str
    ) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._admin = admin
        self._actions = actions
        self._run_id = run_id
        self._found: dict[str, Any] | None = None
        self._read_at = dashboard.clock.monotonic()
        self._trouble = ""
        self._words = ""
        self._news = (False, "")

    def compose(self) -> ComposeResult:
        """Lay out header, news, the timeline, what is to be said about the run, and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="news", markup=False)
        yield LineList(
            run_timeline.step_line, head=run_timeline.steps_head, id="steps",
            empty="Nothing is recorded yet.",
        )  # fmt: skip
        with VerticalScroll():
            yield Static(id="about-run", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show_news()
        self.set_interval(1 / 4, self._show_news)
        self.run_worker(self._poll(), name="run", group="run", exclusive=True)
        self._steps.focus()

    @property
    def _steps(self) -> LineList:
        return self.query_one("#steps", LineList)

    def on_resize(self) -> None:
        """Break the lines for the new width."""
        self._show()

    async def _poll(self) -> None:
        clock = self._dashboard.clock
        while True:
            started = clock.monotonic()
            await self._ask()
            took = 0.0 if self._trouble else clock.monotonic() - started
            await asyncio.sleep(min(_REST_MAX_SECONDS, max(_POLL_SECONDS, took * _REST)))

    async def _ask(self) -> None:
        try:
            self._found = await self._admin.get(
                f"admin/workflows/{self._admin.quoted(self._run_id)}"
            )
        except AdminError as error:
            is_gone = error.code == "NOT_FOUND"
            self._trouble = "it is not kept any more" if is_gone else error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()
        self._show()

    def ask_again(self) -> None:
        """Ask at once."""
        self._dashboard.workflows.ask_again()
        self.run_worker(self._ask(), name="run again", group="run again")

    def _show_news(self) -> None:
        """Show the first line, what is under way, and how far the rest can be trusted."""
        if not self.query("#news"):
            return
        self._dashboard.show_header(self.query_one(HeaderLine), place="Run")
        old = self._dashboard.clock.monotonic() - self._read_at
        is_bad = bool(self._trouble) or old > _OLD_SECONDS
        if is_bad:
            why = f": {self._trouble}" if self._trouble else ""
            news = f"STALE: not read for {old:.0f} s{why}"
        elif self._found is None:
            news = "◔ reading …"
        else:
            sign = workflows_tables.SIGNS.get(self._found["state"], ("", ""))[0]
            news = self._actions.doing or f"{sign} {self._found['name']} {self._found['id']}"
        if (is_bad, news) != self._news:
            self._news = (is_bad, news)
            line = self.query_one("#news", Static)
            line.set_class(is_bad, "bad")
            line.update(clean(f" {news}"), layout=False)

    @property
    def _now_ms(self) -> int:
        return self._dashboard.state.app_ms(self._dashboard.clock.now_ms())

    def _show(self) -> None:
        # Answers may come before it is all there, or when it closed.
        if self._found is None or not (self.query("#about-run") and self.query("#steps")):
            return
        rows = run_timeline.timeline(self._found, self._now_ms)
        self._steps.show(rows, key=lambda row: row["step"])
        words = run_timeline.about_run(
            self._found, self._now_ms, self.size.width, is_dev=self._actions.is_dev
        )
        if words != self._words:  # a new text lays the screen out anew
            self._words = words
            self.query_one("#about-run", Static).update(words)

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
        self.app.push_screen(RunScreen(self._dashboard, self._admin, self._actions, run_id))

    def action_parent(self) -> None:
        """Go to the run that waits for this one."""
        parent = None if self._found is None else self._found["parent"]
        if parent is None:
            say(self.app, "no run waits for it")
        else:
            self._go(str(parent))

    def action_leave_for(self, pane: str) -> None:
        """Leave all runs that were gone through, and go on to another pane."""
        while len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        self._dashboard.action_pane(pane)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help("workflows")

    def action_other_part(self) -> None:
        """Go over to what stands below, or back to the steps."""
        below = self.query_one(VerticalScroll)
        (self._steps if below.has_focus else below).focus()

    def action_scroll(self, by: int) -> None:
        """Scroll what stands below, where that has the focus."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_run(self, name: str) -> None:
        """Do something to the run; rerun: from the step under the cursor."""
        if self._found is None:
            return
        if name == "rerun":
            self._rerun()
        else:
            getattr(self._actions, name)(self._found, self.ask_again)

    def _rerun(self) -> None:
        assert self._found is not None
        row = self._steps.current
        step = None if row is None else str(row["step"])
        if row is not None and row["kind"] == "gather":  # it begins with its first step
            step = str(row["first"])
        self._actions.rerun(self._found, step, self.ask_again)

    def action_journal(self) -> None:
        """Show the journal whole, with all values."""
        if self._found is not None:
            rows = run_timeline.timeline(self._found, self._now_ms)
            words = run_timeline.journal_words(self._found, rows)
            title = f"Journal of {workflows_tables.title_of(self._found)}"
            self.app.push_screen(Details(title, words))

    def action_copy(self) -> None:
        """Offer what can be copied."""
        if self._found is not None:
            self._dashboard.offer_copies(workflows_tables.run_copies(self._found))
