"""What is done from a screen: asked about first, done, and said with what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.dialogs import Question
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

GROUP: Final = "acting"
_SAID_SECONDS: Final = 6
Done = Callable[[], None]


class Acting:
    """The owner's hand on one part of an app."""

    #: The part of the state that is drawn anew while something is under way.
    part: ClassVar[str] = ""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        #: The lineage of the changes that are noted here.
        self._epoch = ""
        #: What is under way, for the line of news; empty for nothing.
        self.doing = ""

    @property
    def is_dev(self) -> bool:
        """Tell whether this runtime is one of development."""
        return self._app.state.status.get("environment") == "dev"

    def follow_lineage(self) -> None:
        """Let go of numbers of changes where another branch, or a backup, is in use by now."""
        epoch = self._app.state.epoch
        if self._epoch and epoch != self._epoch:
            self._forget_numbers()
        self._epoch = epoch

    def _forget_numbers(self) -> None:
        """Let go of what is noted by numbers of changes."""

    def run(
        self, what: str, step: Callable[[], Awaitable[str]], done: Done, *, opens: bool = False
    ) -> None:  # fmt: skip
        """Run a step; says what came of it, or why nothing did and what to do.

        Args:
            what: what is done, for the title.
            step: does it, and returns what came of it; its line for the shell begins with `$`.
            done: is called at the end, either way.
            opens: it reads, and then opens a screen: what is typed meanwhile is for that one.
        """

        async def work() -> None:
            self._tell(f"◔ {what} …")
            self._app.clear_notifications()
            try:
                with self._app.enduring.understood(what):
                    said = await step()
            except AdminError as error:
                hint = f"\n{error.hint}" if error.hint else ""
                say(self._app, f"{error.message}{hint}", title=f"✗ {what}: failed",
                    seconds=_SAID_SECONDS, is_bad=True)  # fmt: skip
            except OSError as error:
                say(self._app, f"{error.strerror}: {error.filename}", title=f"✗ {what}: failed",
                    seconds=_SAID_SECONDS, is_bad=True)  # fmt: skip
            else:
                self._app.command_log.note_said(what, said)
                if said:
                    say(self._app, said, title=f"✓ {what}", seconds=_SAID_SECONDS)
            finally:
                self._tell("")
                done()

        if opens:
            self._app.ahead.open(what, work, group="opening")
        else:
            self._app.run_worker(work(), name=what, group=GROUP)

    def _tell(self, text: str) -> None:
        self.doing = text
        self._app.state.touch(self.part)

    def ask(self, question: str, then: Callable[[], None]) -> None:
        """Ask first, more loudly where real people are behind it."""
        place = "" if self.is_dev else "This is PRODUCTION.\n\n"
        self._app.push_screen(Question(place + question), lambda yes: then() if yes else None)
