"""What a screen asks of the runtime again and again while it is seen, and how old it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.panes import Pane

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_EVERY_SECONDS: Final = 1.0
_OLD_SECONDS: Final = 2.0
#: A slow answer is asked for less often: after so many times as long as it took.
_REST: Final = 5.0


class Asked:
    """One route's answer; `moved` is called when another one came, or its age is to be said."""

    def __init__(
        self, app: Dashboard, admin: AdminClient, path: str, moved: Callable[[], None]
    ) -> None:
        self._app = app
        self._admin = admin
        self._path = path
        self._moved = moved
        self.answer: dict[str, Any] | None = None
        self._is_asking = False
        self._answered_at = self._due_at = 0.0
        self._failure = ""
        self._said = ""

    @property
    def note(self) -> str:
        """Return what is to be said of its age: empty while it is at most two seconds old."""
        age = self._app.clock.monotonic() - self._answered_at
        if self.answer is None and self._app.state.at_rest:
            return ""  # nobody is there to answer, which is said in its place
        if self.answer is None:
            return f"✗ {self._failure}" if self._failure else ""
        if age <= _OLD_SECONDS:
            return ""
        return f"STALE: {age:.0f} s old" + (f" ({self._failure})" if self._failure else "")

    def ask_again(self) -> None:
        """Have it asked for at once."""
        self._due_at = 0.0

    def keep_current(self) -> None:
        """Ask where it is time to."""
        if self._said != self.note:
            self._said = self.note
            self._moved()
        if not self._is_asking and self._app.clock.monotonic() >= self._due_at:
            self._is_asking = True
            self._app.run_worker(self._ask(), name=self._path, group=self._path)

    async def _ask(self) -> None:
        now = self._app.clock.monotonic
        began = now()
        try:
            answer = await self._admin.get(self._path)
        except AdminError as error:
            self._failure = error.message
        else:
            self._failure, self._answered_at = "", now()
            if answer != self.answer:
                self.answer = answer
                self._moved()
        finally:
            self._is_asking = False
            self._due_at = now() + max(_EVERY_SECONDS, (now() - began) * _REST)


class AskedPane(Pane):
    """A pane that shows one route's answer; the first of its `parts` is touched by it."""

    path: ClassVar[str] = ""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        part = self.parts[0]
        self._asked = Asked(app, admin, self.path, lambda: app.state.touch(part))

    def keep_current(self) -> None:
        """Ask for it where it is time to."""
        self._asked.keep_current()

    def ask_again(self) -> None:
        """Have it asked for at once."""
        self._asked.ask_again()
