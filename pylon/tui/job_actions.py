"""What can be done to jobs and queues: run again, cancel, pause; asked first where it matters."""

from __future__ import annotations

import shlex
from typing import Any, Final

from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.saying import say
from pylon.tui.verbs import Verb

#: What can be done to a job, in the list and on its own screen.
JOB_VERBS: Final = (
    Verb("r", "job('retry')", "Retry it: dead, cancelled or scheduled", brief="Retry",
         id="jobs.retry", cli="jobs retry"),
    Verb("c", "job('cancel')", "Cancel it", brief="Cancel", id="jobs.cancel", cli="jobs cancel"),
)  # fmt: skip
#: What can be done to queues.
QUEUE_VERBS: Final = (
    Verb("P", "queue('hold')", "Pause its queue, or have it go on", id="jobs.pause-queue",
         cli="jobs pause"),
    Verb("A", "queue('retry_dead')", "Retry all dead jobs of its queue", id="jobs.retry-dead",
         cli="jobs retry"),
    Verb("s", "slots", "All schedules and their next slots", id="jobs.slots", cli="jobs list"),
)  # fmt: skip
Job = dict[str, Any]


class JobActions(Acting):
    """The owner's hand on the jobs of one dashboard's app."""

    part = "jobs"

    def _named(self, job: Job) -> str:
        return f"{clean(job['name'])[:40]} {str(job['id'])[-12:]}"

    def retry(self, job: Job, done: Done) -> None:
        """Run a dead, cancelled or waiting job now, with all its attempts."""
        if job["state"] in ("available", "running", "completed"):
            say(self._app, f"it is {job['state']}: only dead, cancelled and scheduled jobs"
                           " are run again")  # fmt: skip
            return

        async def step() -> str:
            path = f"admin/jobs/{self._admin.quoted(job['id'])}/retry"
            made = await self._admin.post(path, {})
            return f"it is {made['state']}\n$ pylon jobs retry {job['id']}"

        self.run(f"retry {self._named(job)}", step, done)

    def cancel(self, job: Job, done: Done) -> None:
        """End a job that has not ended, after a question."""
        if job["state"] in ("completed", "cancelled", "dead"):
            say(self._app, f"it has ended: it is {job['state']}")
            return

        async def step() -> str:
            path = f"admin/jobs/{self._admin.quoted(job['id'])}/cancel"
            made = await self._admin.post(path, {})
            return f"it is {made['state']}\n$ pylon jobs cancel {job['id']}"

        more = (" It is stopped where it stands, and stores nothing more."
                if job["state"] == "running" else "")  # fmt: skip
        self.ask(f"Cancel {self._named(job)}?{more}",
                 lambda: self.run(f"cancel {self._named(job)}", step, done))  # fmt: skip

    def hold(self, queue: dict[str, Any], done: Done) -> None:
        """Pause a queue, after a question; or have a paused one go on."""
        name = str(queue["queue"])
        verb = "pause" if queue["paused_at"] is None else "resume"

        async def step() -> str:
            await self._admin.post(f"admin/queues/{self._admin.quoted(name)}/{verb}", {})
            return f"$ pylon jobs {verb} {shlex.quote(name)}"

        def run() -> None:
            self.run(f"{verb} queue {name}", step, done)

        if verb == "resume":
            run()
        else:
            self.ask(f"Pause queue {name}? It starts nothing more, over restarts too, until it is"
                     " resumed; what runs there ends.", run)  # fmt: skip

    def retry_dead(self, queue: dict[str, Any], done: Done) -> None:
        """Run all dead jobs of a queue again, after a question that names it."""
        name, count = str(queue["queue"]), int(queue["dead"])
        if not count:
            say(self._app, f"queue {name} has no dead job")
            return

        async def step() -> str:
            made = await self._admin.post("admin/jobs/retry", {"queue": name})
            words = f"{made['retried']} of {made['dead']} dead jobs are run again"
            return f"{words}\n$ pylon jobs retry --all --queue {shlex.quote(name)}"

        dead = "1 dead job" if count == 1 else f"all {count:,} dead jobs"
        self.ask(f"Run {dead} of queue {name} again, with all their attempts?",
                 lambda: self.run(f"retry dead of {name}", step, done))  # fmt: skip
