"""One job: state, attempts, progress, whose authority, arguments, result, error and traceback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean
from pylon.tui import jobs_tables
from pylon.tui.header import HeaderLine
from pylon.tui.job_actions import JobActions
from pylon.tui.keys import LEAVING

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_POLL_SECONDS = 0.5
_OLD_SECONDS = 2.0


class JobScreen(Screen[None]):
    """Everything about a job, asked anew twice a second."""

    CSS = """
    JobScreen #news { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    JobScreen #news.bad { color: $text-error; }
    JobScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", key_display="esc"),
        Binding("r", "job('retry')", "Retry"),
        Binding("c", "job('cancel')", "Cancel"),
        Binding("y", "copy", "Copy"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(15)", "Page down", show=False),
        Binding("pageup,ctrl+u", "scroll(-15)", "Page up", show=False),
        Binding("home,g", "scroll(-1000000)", "First", show=False),
        Binding("end,G", "scroll(1000000)", "Last", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        *[one for one in LEAVING if "help" not in one.action],
    ]

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: JobActions, job: dict[str, Any]
    ) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._admin = admin
        self._actions = actions
        self._job = job
        self._found: dict[str, Any] | None = None
        self._read_at = dashboard.clock.monotonic()
        self._trouble = ""
        self._words = ""
        self._news = (False, "")

    def compose(self) -> ComposeResult:
        """Lay out header, news, the job and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="news", markup=False)
        with VerticalScroll():
            yield Static(id="about-job", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show_news()
        self.set_interval(1 / 4, self._show_news)
        self.run_worker(self._poll(), name="job", group="job", exclusive=True)
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """Break the lines for the new width."""
        self._show()

    async def _poll(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self) -> None:
        path = f"admin/jobs/{self._admin.quoted(str(self._job['id']))}"
        try:
            self._found = await self._admin.get(path)
        except AdminError as error:
            is_gone = error.code == "NOT_FOUND"
            self._trouble = "it is not kept any more" if is_gone else error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()
        self._show()

    def ask_again(self) -> None:
        """Ask at once."""
        self._dashboard.jobs.ask_again()
        self.run_worker(self._ask(), name="job again", group="job again")

    def _show_news(self) -> None:
        """Show the first line, what is under way, and how far the rest can be trusted."""
        if not self.query("#news"):
            return
        self._dashboard.show_header(self.query_one(HeaderLine), place="Job")
        old = self._dashboard.clock.monotonic() - self._read_at
        is_bad = bool(self._trouble) or old > _OLD_SECONDS
        news = self._actions.doing or f"{self._job['name']} {self._job['id']}"
        if self._found is None and not is_bad:
            news = "◔ reading …"
        elif is_bad:
            why = f": {self._trouble}" if self._trouble else ""
            news = f"STALE: not read for {old:.0f} s{why}"
        if (is_bad, news) != self._news:
            self._news = (is_bad, news)
            line = self.query_one("#news", Static)
            line.set_class(is_bad, "bad")
            line.update(clean(f" {news}"), layout=False)

    def _show(self) -> None:
        if self._found is None or not self.query("#about-job"):  # answers may come when it closed
            return
        now_ms = self._dashboard.state.app_ms(self._dashboard.clock.now_ms())
        words = jobs_tables.job_words(self._found, now_ms, self.size.width)
        if words != self._words:  # a new text lays the screen out anew
            self._words = words
            self.query_one("#about-job", Static).update(words)

    # --- what the keys do

    def action_leave_for(self, pane: str) -> None:
        """Go back, and on to another pane."""
        self.dismiss()
        self._dashboard.action_pane(pane)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help("jobs")

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_job(self, name: str) -> None:
        """Do something to the job."""
        if self._found is not None:
            do = self._actions.retry if name == "retry" else self._actions.cancel
            do(self._found, self.ask_again)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        self._dashboard.offer_copies(jobs_tables.job_copies(self._found or self._job))
