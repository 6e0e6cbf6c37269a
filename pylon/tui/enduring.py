"""What the dashboard makes of a runtime that it does not understand: it says so, and goes on.

A runtime elsewhere may be of another version, behind a proxy, or mean ill. What does not live
here: what reading another shape raises, and the words for it (`client.understanding`). Our own
runtime of our own version is understood; where it is not that is a fault of ours, and stays one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from textual.app import App
from textual.css.query import NoMatches
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.worker import WorkerFailed

from pylon.client.admin import AdminError
from pylon.client.understanding import MISUNDERSTANDINGS, not_understood
from pylon.clock import iso_ms
from pylon.printable import clean
from pylon.tui.saying import say
from pylon.version import __version__

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What is gone on after: a screen that could not be laid out lacks what it looks for, too.
_ENDURED: Final = (*MISUNDERSTANDINGS, AdminError, NoMatches)
#: A notice of the same is shown so seldom: a screen is drawn eight times a second.
_SAID_EVERY_SECONDS: Final = 10.0
_SAID_SECONDS: Final = 8.0
#: Different notices are remembered: above, the oldest are forgotten, and may come once more.
_REMEMBERED_MAX: Final = 100
#: All is told anew after so many seconds, and less and less often where that does not help.
_RENEWED_SECONDS: Final = 2.0
_RENEWED_SECONDS_MAX: Final = 16.0


class Enduring:
    """The patience of one dashboard."""

    def __init__(self, app: Dashboard, *, is_afar: bool) -> None:
        self._app = app
        self._is_afar = is_afar
        #: When each notice was shown last.
        self._said: dict[str, float] = {}
        #: Something was not understood since all was told anew.
        self._has_news = False
        self._renewed_at = app.clock.monotonic()
        self._renewing_s = _RENEWED_SECONDS

    @property
    def is_on(self) -> bool:
        """Tell whether the runtime is another's, or of another version."""
        return self._is_afar or self._theirs != __version__

    @property
    def _theirs(self) -> str:
        return str(self._app.state.status.get("pylon", __version__))

    @contextmanager
    def understood(self, what: str) -> Iterator[None]:
        """Read an answer; raises AdminError where it is of another shape than ours."""
        try:
            yield
        except MISUNDERSTANDINGS as error:
            if not self.is_on:
                raise
            raise AdminError(self.note(what, error)) from error

    @contextmanager
    def shown(self, what: str) -> Iterator[None]:
        """Show or do something; where what the runtime said stands against it, go on without."""
        try:
            yield
        except _ENDURED as error:
            if not self.is_on:
                raise
            self._say(what, error)

    def renews(self, now: float) -> bool:
        """Tell whether all is to be told anew: what is held may hold what was not understood."""
        since = now - self._renewed_at
        if not self._has_news or since < self._renewing_s:
            return False
        is_calm = since > 2 * _RENEWED_SECONDS_MAX
        self._renewing_s = _RENEWED_SECONDS if is_calm else self._renewing_s * 2
        self._renewing_s = min(self._renewing_s, _RENEWED_SECONDS_MAX)
        self._has_news, self._renewed_at = False, now
        self._app.refresh(layout=True)  # a picture may have been left half drawn
        return self.is_on

    def takes(self, error: BaseException, node: MessagePump | None) -> bool:
        """Take a fault that would end the dashboard; False where it has to.

        A screen that could not even be laid out is closed: there is nothing on it to leave it by.
        """
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not self.is_on or not isinstance(cause, _ENDURED):
            return False
        self._say("what was asked for", cause)
        screen = getattr(node, "screen", None) if node is not self._app else None
        is_laid_out = node is None or (node.is_attached and getattr(node, "is_mounted", True))
        if isinstance(screen, Screen) and not is_laid_out:
            self._app.call_later(self._close, screen)
        return True

    def _close(self, screen: Screen[Any]) -> None:
        if self._app.screen is screen and len(self._app.screen_stack) > 1:
            self._app.pop_screen()

    def _say(self, what: str, error: BaseException) -> None:
        """Show a notice, and put it into the Runtime log."""
        words = error.message if isinstance(error, AdminError) else self.note(what, error)
        if self._is_news("notice"):  # one at a time: many would leave the rows no room
            say(self._app, words, title="✗ not understood", seconds=_SAID_SECONDS, is_bad=True)

    def note(self, what: str, error: BaseException) -> str:
        """Put it into the Runtime log where it is news; returns the words."""
        self._has_news = True
        theirs = "" if self._theirs == __version__ else self._theirs
        words = clean(not_understood(what, error, theirs))
        if self._is_news(words):
            self._app.state.add_line("error", words, iso_ms(self._app.clock.now_ms()))
        return words

    def _is_news(self, words: str) -> bool:
        now, before = self._app.clock.monotonic(), self._said.get(words)
        if before is not None and now - before < _SAID_EVERY_SECONDS:
            return False
        self._said.pop(words, None)
        self._said[words] = now
        if len(self._said) > _REMEMBERED_MAX:
            del self._said[next(iter(self._said))]
        return True


def shown(app: App[Any], what: str) -> AbstractContextManager[None]:
    """Show something of a program's, with the patience that it has."""
    enduring = getattr(app, "enduring", None)
    return enduring.shown(what) if isinstance(enduring, Enduring) else nullcontext()


def endure(app: App[Any], what: str, error: BaseException) -> None:
    """Say that something can't be drawn; raises what stands against it where that is a fault."""
    with shown(app, what):
        raise error


class Patient(MessagePump):
    """A part of the dashboard that goes on where what it was told stands against it.

    The library ends whatever raises while it takes a message, and the app with it.
    """

    async def _dispatch_message(self, message: Message) -> None:
        with shown(self.app, "that"):
            await super()._dispatch_message(message)
