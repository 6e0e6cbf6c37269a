"""What the dashboard does about policies: asks for the matrix, and says what a reload changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_GROUP: Final = "policies"
_SAID_SECONDS: Final = 8
#: Counts of branches are asked for so often while they are looked at.
_COUNTS_SECONDS: Final = 1.5
#: One that was refused is asked again so soon.
_AGAIN_SECONDS: Final = 1.0
_OLD_SECONDS: Final = 2.0


class Policies:
    """The policies of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        #: The generation that was asked for last.
        self._asked: Any = None
        self._asked_at = 0.0
        #: A slow answer is waited for: asked anew meanwhile, it would never be there.
        self._is_asking = False
        self._waits_since: float | None = None
        self._trouble = ""
        self._note = ""

    @property
    def note(self) -> str:
        """Return what is to be said about how old the matrix is; empty where nothing is."""
        return self._note

    def keep_current(self) -> None:
        """Ask for the matrix where the one that is shown is of another generation, or counts."""
        state, now = self._app.state, self._app.clock.monotonic()
        generation = state.status.get("generation")
        is_old = now - self._asked_at > _COUNTS_SECONDS and state.policies.get("coverage_is_live")
        is_resting = bool(self._trouble) and now - self._asked_at < _AGAIN_SECONDS
        is_due = (generation != self._asked or is_old) and not is_resting
        if generation is not None and is_due and not self._is_asking:
            self._asked, self._asked_at = generation, now
            self._waits_since = self._waits_since or now
            self._is_asking = True
            self._app.run_worker(self._ask(), name="policies", group=_GROUP)
        waits = 0.0 if self._waits_since is None else now - self._waits_since
        why = f": {self._trouble}" if self._trouble else ""
        note = f"STALE: not read for {waits:.0f} s{why}" if waits > _OLD_SECONDS else ""
        if note != self._note:
            self._note = note
            state.touch("policies")

    def ask_again(self) -> None:
        """Have the matrix asked for the next time it is shown: roles may be granted meanwhile."""
        self._asked = None

    async def _ask(self) -> None:
        try:
            found = await self._admin.get("admin/policies")
        except AdminError as error:
            self._asked = None
            if error.message != self._trouble:
                say(self._app, error.message, is_bad=True)
            self._trouble = error.message
            return
        finally:
            self._is_asking = False
        self._trouble, self._waits_since = "", None
        self._app.state.note_policies(found)

    def take_change(self, message: dict[str, Any]) -> None:
        """Say in one line what a reload changed for whom."""
        if message.get("is_news", True):
            say(self._app, str(message.get("line")), title="policies (9)", seconds=_SAID_SECONDS)
