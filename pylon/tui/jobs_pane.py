"""The pane of jobs: queues above, throughput and next slots between, jobs below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import jobs_tables
from pylon.tui.copying import Copies
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.job_actions import JOB_VERBS, QUEUE_VERBS, JobActions
from pylon.tui.jobs import Jobs
from pylon.tui.jobs_state import FLOW_SECONDS
from pylon.tui.panes import Pane
from pylon.tui.saying import say
from pylon.tui.screens.job import JobScreen
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_QUEUES_SHARE = 4
#: What stands beside the sparkline.
_RATES_WIDTH = 52
_HINT = "enter opens · r retry · A all dead · c cancel · P pause · s slots · tab queues"


def _id_of(row: dict[str, Any]) -> str:
    return str(row["id"])


class JobsPane(Pane):
    """What waits, runs and failed, by queue."""

    lead = "Job"
    verbs = (*JOB_VERBS, *QUEUE_VERBS)
    parts = ("jobs",)
    filter_hint = "search: words in name, error, id; state:dead queue:mail user: key: cause:; !not"
    fields = jobs_tables.SEARCHED
    DEFAULT_CSS = """
    JobsPane #jobs-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    JobsPane #jobs-note.bad { color: $text-error; }
    JobsPane #queues { height: 2; }
    JobsPane #jobs-flow { height: 2; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    JobsPane #joblist { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *verbs,
        Binding("tab,shift+tab", "other_list", "Queues, or jobs", show=False, id="other-list"),
    ]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._jobs = Jobs(app, admin)
        self.actions = JobActions(app, admin)
        self._clock = app.clock
        self._flow = ""

    def compose(self) -> ComposeResult:
        """Lay out a line of news, queues, throughput and jobs."""
        yield Static(id="jobs-note", markup=False)
        yield LineList(jobs_tables.queue_line, head=jobs_tables.queues_head, id="queues",
                       is_bad=jobs_tables.is_bad_queue,
                       empty="No queue yet: a job is declared with @app.job.")  # fmt: skip
        yield Static(id="jobs-flow", markup=False)
        yield LineList(
            jobs_tables.job_line, head=jobs_tables.jobs_head, id="joblist",
            is_bad=jobs_tables.is_bad_job,
            empty="No job is found. They come from ctx.jobs.enqueue, ctx.mail and @app.cron.",
        )  # fmt: skip

    @property
    def list(self) -> LineList:
        """Return the list of jobs."""
        return self.query_one("#joblist", LineList)

    @property
    def queues(self) -> LineList:
        """Return the list of queues."""
        return self.query_one("#queues", LineList)

    def keep_current(self) -> None:
        """Ask for jobs that moved, and draw what moves by itself."""
        self._jobs.keep_current(self.terms, self.list.cursor)
        self._show_flow()

    def ask_again(self) -> None:
        """Have what is in sight read again."""
        self._jobs.ask_again()

    def show(self) -> None:
        """Show queues and jobs as they are held."""
        state, now_ms = self.state.jobs, self.state.app_ms(self._clock.now_ms())
        height = 1 + max(1, min(len(state.queues), max(2, self.size.height // _QUEUES_SHARE)))
        given = self.queues.styles.height
        if self.zoomed is None and (given is None or given.value != height):
            self.queues.styles.height = height
        self.queues.show(
            state.queues, key=lambda row: row["queue"], total=len(state.queues),
            is_read=state.told_at is not None,
        )  # fmt: skip
        rows = [{**one, "when": jobs_tables.when_words(one, now_ms)} for one in state.rows]
        total = state.total if state.has_more and not state.search else len(rows)
        # At the top one sees the newest; elsewhere the cursor stays on its job.
        key = None if self.list.cursor == 0 else _id_of
        is_read = state.has_more is not None
        self.list.show(rows, key=key, total=max(total, len(rows)), is_read=is_read)
        said = self.state.jobs.note
        line = self.query_one("#jobs-note", Static)
        line.set_class(said.startswith(("STALE", "✗")), "bad")
        line.update(clean_block(f" {said or self.actions.doing or self._quiet()}"), layout=False)

    def _quiet(self) -> str:
        """Return what the first line says where there is no news: the hint, or what is left out."""
        state = self.state.jobs
        if state.has_more and state.search:
            return f"the newest {len(state.rows):,} of those that are found; {_HINT}"
        return _HINT

    def _show_flow(self) -> None:
        state, width = self.state.jobs, max(20, self.size.width - 2)
        seconds = max(8, min(FLOW_SECONDS, width - _RATES_WIDTH))
        done, failed = state.rates(self._clock.monotonic(), seconds)
        now_ms = self.state.app_ms(self._clock.now_ms())
        slots = jobs_tables.slots_line(state.schedules, now_ms, width)
        text = clean_block(
            f" {jobs_tables.flow_line(done, failed, self._dashboard.charts)}\n {slots}"
        )
        if text != self._flow:
            self._flow = text
            self.query_one("#jobs-flow", Static).update(text, layout=False)

    @property
    def is_troubled(self) -> bool:
        """Tell whether a queue has dead jobs: those are told, jobs are read once they are seen."""
        return any(jobs_tables.is_bad_queue(one) for one in self.state.jobs.queues)

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show a job on a screen of its own."""
        given = (self._dashboard, self._admin, self.actions, row)
        self.app.push_screen(JobScreen(*given, self.ask_again))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Return what can be copied of a job."""
        return jobs_tables.job_copies(row)

    @property
    def _queue(self) -> dict[str, Any] | None:
        """Return the queue that is meant: under its cursor where it has the focus, else a job's."""
        if not self.queues.has_focus and self.list.current is not None:
            return self.state.jobs.queue(self.list.current["queue"])
        return self.queues.current

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show the jobs of a queue that was chosen; a job is the dashboard's to show."""
        if event.list.id == "queues":
            event.stop()
            self.search(f"queue:{event.row['queue']}")

    def search(self, line: str) -> None:
        """Put a line into the filter."""
        given = self.app.query_one("#filter", Input)
        given.add_class("shown")
        given.value = line
        self.filter(line)
        self.list.focus()

    def action_other_list(self) -> None:
        """Go over to the queues, or back to the jobs."""
        (self.list if self.queues.has_focus else self.queues).focus()

    def action_job(self, name: str) -> None:
        """Do something to the job under the cursor."""
        job = self.list.current
        if job is None:
            say(self.app, "there is no job under the cursor")
        elif name == "retry":
            self.actions.retry(job, self._jobs.ask_again)
        else:
            self.actions.cancel(job, self._jobs.ask_again)

    def action_queue(self, name: str) -> None:
        """Do something to the queue that is meant."""
        queue = self._queue
        if queue is None:
            say(self.app, "there is no queue yet")
        elif name == "hold":
            self.actions.hold(queue, self._jobs.ask_again)
        else:
            self.actions.retry_dead(queue, self._jobs.ask_again)

    def action_slots(self) -> None:
        """Show all schedules with their next slots."""
        now_ms = self.state.app_ms(self._clock.now_ms())
        words = jobs_tables.schedule_words(self.state.jobs.schedules, now_ms)
        self.app.push_screen(Details("Schedules", words))


SCREEN = Entry(
    "jobs", "Jobs", "queues, what waits, runs and failed; retry, cancel, pause", JobsPane, key="6",
    verbs=JobsPane.verbs,
    first=(
        ("enter", "all about it: arguments, error, traceback; on a queue: its jobs"),
        ("tab", "over to the queues, and back"),
    ),
    last=(
        ("y", "Copy: id, command, error, traceback, JSON"),
        ("/", "Search: words, state:dead, queue:mail, name: key: user: cause:, !not"),
    ),
)  # fmt: skip
