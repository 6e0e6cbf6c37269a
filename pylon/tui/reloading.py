"""What the dashboard does about new versions of the app: asks for them, says what they led to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.client.plan_text import effect_lines
from pylon.tui.dialogs import Question
from pylon.tui.saying import say
from pylon.tui.working import begin

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: Workers of a group of their own: an exclusive one ends the others of its group.
_GROUP: Final = "reload"
_NOTHING_WAITS: Final = "no migration waits"


def plan_words(found: dict[str, Any]) -> str:
    """Return the migration that waits, whom and what it breaks, and data migrations not run."""
    lines = []
    plan = found["plan"]
    if plan is not None:
        lines += ["A migration waits:", plan["text"]]
        if plan["blockers"]:
            lines.append("  rows stand against it: mend them, or change app.py")
        lines += effect_lines(plan)
    for one in found["data"]:
        if one["state"] != "applied":
            lines.append(f"data migration {one['name']}: {one['state']}")
    return "\n".join(lines)


class Reloading:
    """Reloads of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        #: Loads the app anew as a save would; None where no dev session runs beside.
        self.now: Callable[[], Awaitable[Any]] | None = None

    def ask(self) -> None:
        """Load the app anew."""
        begin(self._app, self._load, name="reload", group=_GROUP)

    async def _load(self) -> None:
        if self.now is not None:
            await self.now()
            self._app.command_log.note("reload", "pylon reload")
        else:
            await self._post(consent=False)

    def ask_for_consent(self) -> None:
        """Ask whether to apply the migration that waits, by its plan of now, and do it."""
        state = self._app.state
        if state.is_held:
            self._app.held.ask()
        elif not state.plan or not state.mistakes:
            say(self._app, _NOTHING_WAITS)
        else:
            self._app.ahead.open("the migration", self._ask_for_consent, group="opening")

    async def _ask_for_consent(self) -> None:
        try:
            self.ask_to_apply(await self._admin.get("admin/schema"), lambda: None)
        except AdminError as error:
            say(self._app, error.message, is_bad=True)

    def ask_to_apply(self, found: dict[str, Any] | None, then: Callable[[], None]) -> None:
        """Ask whether to apply the migration that waits: the plan that is shown, and no other.

        Args:
            found: the schema as the runtime told it, with what waits; None before it did.
            then: is called once it is begun.
        """
        plan = None if found is None else found["plan"]
        if found is None or plan is None:
            say(self._app, _NOTHING_WAITS)
            return
        if plan["blockers"]:
            say(self._app, "rows stand against it: mend them, or change app.py", is_bad=True)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                begin(
                    self._app,
                    partial(self._post, consent=True, plan=plan["hash"]),
                    name="consent",
                    group=_GROUP,
                )
                then()

        place = "This is PRODUCTION.\n\n" if self._app.state.is_production else ""
        words = f"Apply this migration?\n\n{plan_words(found)}"
        self._app.push_screen(Question(f"{place}{words}"), answered)

    async def _post(self, *, consent: bool, plan: str | None = None) -> None:
        try:
            given = {"consent": consent} if plan is None else {"consent": consent, "plan": plan}
            answer = await self._admin.post("admin/reload", given, is_patient=True)
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
