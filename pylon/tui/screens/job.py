"""One job: state, attempts, progress, whose authority, arguments, result, error and traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.tui import jobs_tables
from pylon.tui.job_actions import JOB_VERBS, JobActions
from pylon.tui.screens.above import CloseUp, Scrolling
from pylon.tui.verbs import in_footer

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class JobScreen(CloseUp, Scrolling):
    """Everything about a job, asked anew twice a second."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(JOB_VERBS),
        Binding("y", "copy", "Copy", id="copy"),
    ]
    title_text, pane = "Job", "jobs"
    lead, verbs = "Job", JOB_VERBS

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: JobActions, job: dict[str, Any],
        again: Callable[[], None],
    ) -> None:  # fmt: skip
        """Make the screen of a job; `again` has the list of jobs read again."""
        super().__init__(dashboard, admin)
        self._actions = actions
        self._job = job
        self._again = again

    @property
    def path(self) -> str:
        """Return where the runtime is asked about it."""
        return f"admin/jobs/{self._admin.quoted(str(self._job['id']))}"

    @property
    def news(self) -> str:
        """Return what is under way, or which job it is."""
        return self._actions.doing or f"{self._job['name']} {self._job['id']}"

    def body(self) -> Iterator[Widget]:
        """Lay out news and the job."""
        yield Static(id="news", markup=False)
        with VerticalScroll():
            yield Static(id="about-job", markup=False)

    def on_mount(self) -> None:
        """Be ready to scroll."""
        self.query_one(VerticalScroll).focus()

    def ask_again(self) -> None:
        """Ask at once, and for the list, too."""
        self._again()
        super().ask_again()

    def show(self) -> None:
        """Show the job."""
        assert self.found is not None
        now_ms = self._dashboard.state.app_ms(self._dashboard.clock.now_ms())
        self.show_words(
            "#about-job", jobs_tables.job_words(self.found, now_ms, self.size.width)
        )  # fmt: skip

    # --- what the keys do

    def action_job(self, name: str) -> None:
        """Do something to the job."""
        if self.found is not None:
            do = self._actions.retry if name == "retry" else self._actions.cancel
            do(self.found, self.ask_again)

    def action_copy(self) -> None:
        """Offer what can be copied."""
        self._dashboard.offer_copies(jobs_tables.job_copies(self.found or self._job))
