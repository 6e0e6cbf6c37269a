"""One answer of the runtime's that a screen shows: asked again and again while it is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_OLD_SECONDS: Final = 2.0
_REST: Final = 5.0
_REST_MAX_SECONDS: Final = 10.0


class Polling:
    """Keeps an answer current, and says how old it is."""

    def __init__(
        self, app: Dashboard, admin: AdminClient, path: str, *, every_s: float,
        take: Callable[[dict[str, Any]], None], question: Callable[[], dict[str, Any]] = dict,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            app: the dashboard.
            admin: asks its runtime.
            path: what is asked, below `admin/`.
            every_s: how often, at most.
            take: takes an answer.
            question: returns what is asked with the path.
        """
        self._app = app
        self._admin = admin
        self._path = path
        self._every_s = every_s
        self._take = take
        self._question = question
        self._is_asking = False
        self._next_at = 0.0
        self._read_at: float | None = None
        self._trouble = ""

    @property
    def has_answer(self) -> bool:
        """Tell whether anything was told yet."""
        return self._read_at is not None

    def keep_current(self) -> None:
        """Ask, if it is time."""
        now = self._app.clock.monotonic()
        if now >= self._next_at and not self._is_asking:
            self._is_asking = True
            self._app.run_worker(self._ask(), name=self._path, group=self._path)

    def ask_again(self) -> None:
        """Have it asked at once."""
        self._next_at = 0.0

    async def _ask(self) -> None:
        clock = self._app.clock
        started, rest = clock.monotonic(), self._every_s
        try:
            answer = await self._admin.get(f"admin/{self._path}", **self._question())
            with self._app.enduring.understood(self._path):
                self._take(answer)
            self._trouble, self._read_at = "", clock.monotonic()
            # Only what was answered has cost the app something.
            rest = min(_REST_MAX_SECONDS, max(rest, (clock.monotonic() - started) * _REST))
        except AdminError as error:
            self._trouble = " · ".join(part for part in (error.message, error.hint) if part)
        finally:
            self._next_at = clock.monotonic() + rest
            self._is_asking = False

    @property
    def note(self) -> str:
        """Return what is to be said about how old it is; empty where nothing is."""
        if self._read_at is None and self._app.state.at_rest:
            return ""  # nobody is there to answer, which is said in its place
        if self._read_at is None:
            return f"✗ {self._trouble}" if self._trouble else "◔ reading …"
        age = self._app.clock.monotonic() - self._read_at
        if age <= _OLD_SECONDS:
            return ""
        if (
            age <= _OLD_SECONDS + self._every_s
            and not self._trouble
            and self._every_s > _OLD_SECONDS
        ):
            return f"read {age:.0f} s ago, every {self._every_s:g} s"
        return f"STALE: read {age:.0f} s ago" + (f": {self._trouble}" if self._trouble else "")
