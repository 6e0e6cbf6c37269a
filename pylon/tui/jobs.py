"""What the dashboard does about jobs: reads those in sight again whenever one has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.jobs_state import JobsState

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_GROUP: Final = "jobs"
#: Jobs are read again so soon after the last time, or after so many times as long as it took.
_EVERY_SECONDS: Final = 0.5
_REST: Final = 5.0
#: Where nothing moved: progress is told by no version.
_AT_LEAST_SECONDS: Final = 1.0


class Jobs:
    """The jobs of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        self._is_asking = False
        self._next_at = 0.0
        self._read_at: float | None = None
        self._read_version = -1
        self._trouble = ""

    @property
    def state(self) -> JobsState:
        """Return what is held."""
        return self._app.state.jobs

    def keep_current(self, search: str, cursor: int) -> None:
        """Ask for what is missing or old, while the screen is seen."""
        now, state = self._app.clock.monotonic(), self.state
        if search.strip() != state.search:
            state.begin(search.strip())
            self._next_at = now
        if state.come_near(cursor):
            self._next_at = now
        has_moved = state.version != self._read_version or state.has_more is None
        is_old = self._read_at is None or now - self._read_at > _AT_LEAST_SECONDS
        if now >= self._next_at and (has_moved or is_old) and not self._is_asking:
            self._is_asking = True
            self._app.run_worker(
                self._ask(state.search, state.limit, state.version), name="jobs", group=_GROUP
            )
        self._note(now)

    def ask_again(self) -> None:
        """Have what is in sight read again at once."""
        self._next_at, self._read_version = 0.0, -1

    async def _ask(self, search: str, limit: int, version: int) -> None:
        clock = self._app.clock
        started = clock.monotonic()
        try:
            answer = await self._admin.get("admin/jobs", search=search or None, limit=limit)
            if self.state.take(search, limit, answer):
                self._trouble, self._read_at = "", clock.monotonic()
                self._read_version = version
                self._app.state.touch("jobs")
        except AdminError as error:
            self._trouble = f"{error.message} {error.hint or ''}".strip()
        finally:
            took = clock.monotonic() - started
            self._next_at = clock.monotonic() + max(_EVERY_SECONDS, took * _REST)
            self._is_asking = False

    def _note(self, now: float) -> None:
        """Say how far what is shown can be trusted."""
        state, note = self.state, ""
        read_age = 0.0 if self._read_at is None else now - self._read_at
        told_age = state.age(now)
        why = f": {self._trouble}" if self._trouble else ""
        if self._read_at is None and self._trouble:
            note = f"✗ {self._trouble}"
        elif state.has_more is None or state.told_at is None:
            note = "◔ searching …" if state.search else "◔ reading …"
        if told_age is not None:
            note = f"STALE: queues are {told_age:.0f} s old{why}"
        elif self._read_at is not None and read_age > 2 + _AT_LEAST_SECONDS:
            note = f"STALE: jobs were read {read_age:.0f} s ago{why}"
        if note != self._app.state.jobs_note:
            self._app.state.jobs_note = note
            self._app.state.touch("jobs")
