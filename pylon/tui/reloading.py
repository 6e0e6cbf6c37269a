"""What the dashboard does about new versions of the app: asks for them, says what they led to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.dialogs import Question
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: Workers of a group of their own: an exclusive one ends the others of its group.
_GROUP: Final = "reload"


class Reloading:
    """Reloads of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        #: Loads the app anew as a save would; None where no dev session runs beside.
        self.now: Callable[[], Awaitable[Any]] | None = None

    def ask(self) -> None:
        """Load the app anew."""
        self._app.run_worker(self._load(), name="reload", group=_GROUP, exclusive=True)

    async def _load(self) -> None:
        if self.now is not None:
            await self.now()
            self._app.command_log.note("reload", "pylon reload")
        else:
            await self._post(consent=False)

    def ask_for_consent(self) -> None:
        """Ask whether to apply the migration that waits, and do it."""
        state = self._app.state
        if state.is_held:
            self._app.held.ask()
            return
        if not state.plan or not state.mistakes:
            say(self._app, "no migration waits")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._app.run_worker(
                    self._post(consent=True), name="consent", group=_GROUP, exclusive=True
                )

        self._app.push_screen(
            Question(f"Apply this migration?\n\n{state.plan}"),
            answered,
        )

    def apply(self, plan: str) -> None:
        """Apply the migration that waits, if its plan, by its hash, is still this one."""
        self._app.run_worker(
            self._post(consent=True, plan=plan), name="consent", group=_GROUP, exclusive=True
        )

    async def _post(self, *, consent: bool, plan: str | None = None) -> None:
        try:
            given = {"consent": consent} if plan is None else {"consent": consent, "plan": plan}
            answer = await self._admin.post("admin/reload", given)
        except AdminError as error:
            say(self._app, error.message, is_bad=True)
            return
        if answer["ok"]:
            self._app.command_log.note("reload", f"pylon reload{' --migrate' if consent else ''}")
        self.take(
            ok=answer["ok"], note=f"generation {answer['generation']} in {answer['ms']} ms",
            mistakes=tuple(answer["mistakes"]), plan=answer["plan"],
        )  # fmt: skip

    def take(self, *, ok: bool, note: str, mistakes: tuple[str, ...], plan: str) -> None:
        """Take what a save led to, and say it instead of what was said of the one before."""
        app = self._app
        app.state.note_reload(ok=ok, note=note, mistakes=mistakes, plan=plan)
        if not app.is_running:
            return
        app.clear_notifications()
        if ok:
            say(app, note, title="reloaded")
        elif app.pane.id != "health":  # which shows the mistakes: a notice would lie on them
            say(app, "the old version serves on; n shows why", title=note, seconds=6, is_bad=True)
