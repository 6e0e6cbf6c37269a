"""How a screen gets the rows that it shows: a search, so many rows, read again when one has moved.

`Found` is what is held, pure; `Reading` asks. Jobs, runs of workflows and files are read by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pylon.client.admin import AdminClient, AdminError

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: Rows that are read at first, by how many more as the cursor comes near the end, and at most.
PAGE: Final = 200
ROWS_MAX: Final = 1_000
_NEAR: Final = 40
OLD_SECONDS: Final = 2.0
#: Rows are read again so soon after the last time, or after so many times as long as it took.
_EVERY_SECONDS: Final = 0.5
_REST: Final = 5.0
#: One that was held up and goes on is not old for minutes.
_REST_MAX_SECONDS: Final = 10.0
#: Where nothing moved: what moves by itself is told by no version.
_AT_LEAST_SECONDS: Final = 1.0


@dataclass(slots=True)
class Found:
    """The rows of a search, as far as they were read."""

    #: The name of the rows in an answer.
    member: ClassVar[str] = ""

    search: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    #: There are more behind the last one; None before the search was answered.
    has_more: bool | None = None
    limit: int = PAGE
    #: What is to be said about how old they are.
    note: str = ""
    #: Rises when something moved; then the rows are read again.
    version: int = -1

    @property
    def question(self) -> dict[str, Any]:
        """Return what the runtime is asked."""
        return {"search": self.search or None, "limit": self.limit}

    def begin(self, search: str) -> None:
        """Begin another search; what is held stays in sight until it is answered."""
        self.search, self.has_more, self.limit = search, None, PAGE

    def come_near(self, cursor: int) -> bool:
        """Ask for more rows where the cursor comes near the last one; tells whether that is so."""
        is_asked = len(self.rows) < self.limit or self.limit >= ROWS_MAX
        if not self.has_more or is_asked or cursor + _NEAR < len(self.rows):
            return False
        self.limit = min(self.limit + PAGE, ROWS_MAX)
        return True

    def take(self, question: dict[str, Any], answer: dict[str, Any]) -> bool:
        """Take rows that were asked for; False for an answer to another question."""
        if question != self.question:
            return False
        self.rows, self.has_more = list(answer[self.member]), answer["next"] is not None
        return True

    def stale_note(self, now: float) -> str:
        """Return what is old of what the stream tells; empty where nothing is."""
        return ""

    @property
    def is_unknown(self) -> bool:
        """Tell whether there is something that is shown and was not told yet."""
        return self.has_more is None


class Reading:
    """The rows of one screen of one dashboard's app; `part` is its name everywhere."""

    #: The path that is asked below admin/, the part of the state, and what the rows are called.
    part: ClassVar[str] = ""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        self._is_asking = False
        self._next_at = 0.0
        self._read_at: float | None = None
        self._read_version = -1
        self._trouble = ""

    @property
    def found(self) -> Found:
        """Return what is held."""
        found: Found = getattr(self._app.state, self.part)
        return found

    def keep_current(self, search: str, cursor: int) -> None:
        """Ask for what is missing or old, while the screen is seen."""
        now, found = self._app.clock.monotonic(), self.found
        if search.strip() != found.search:
            found.begin(search.strip())
            self._next_at = now
        if found.come_near(cursor):
            self._next_at = now
        has_moved = found.version != self._read_version or found.has_more is None
        is_old = self._read_at is None or now - self._read_at > _AT_LEAST_SECONDS
        if now >= self._next_at and (has_moved or is_old) and not self._is_asking:
            work = self._ask(found.question, found.version)
            self._is_asking = True
            self._app.run_worker(work, name=self.part, group=self.part)
        self._note(now)

    def ask_again(self) -> None:
        """Have what is in sight read again at once."""
        self._next_at, self._read_version = 0.0, -1

    async def _ask(self, question: dict[str, Any], version: int) -> None:
        clock = self._app.clock
        started, rest = clock.monotonic(), _EVERY_SECONDS
        try:
            answer = await self._admin.get(f"admin/{self.part}", **question)
            with self._app.enduring.understood(self.part):
                is_ours = self.found.take(question, answer)
            if is_ours:
                # As old as the question: it may have been answered at once, and come late.
                self._trouble, self._read_at = "", started
                self._read_version = version
                self._app.state.touch(self.part)
            # Only what was answered has cost the app something.
            rest = min(_REST_MAX_SECONDS, max(rest, (clock.monotonic() - started) * _REST))
        except AdminError as error:
            self._trouble = " · ".join(part for part in (error.message, error.hint) if part)
        finally:
            self._next_at = clock.monotonic() + rest
            self._is_asking = False

    def _note(self, now: float) -> None:
        """Say how far what is shown can be trusted."""
        found, note = self.found, ""
        read_age = 0.0 if self._read_at is None else now - self._read_at
        why = f": {self._trouble}" if self._trouble else ""
        if self._read_at is None and self._app.state.process_state == "starting":
            note = "◔ the runtime starts …"
        elif self._read_at is None and self._trouble:
            note = f"✗ {self._trouble}"
        elif found.is_unknown:
            note = "◔ searching …" if found.search else "◔ reading …"
        if stale := found.stale_note(now):
            note = f"STALE: {stale}{why}"
        elif self._read_at is not None and read_age > OLD_SECONDS:
            note = f"STALE: {self.part} were read {read_age:.0f} s ago{why}"
        if note != found.note:
            found.note = note
            self._app.state.touch(self.part)
