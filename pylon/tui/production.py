"""Production is read-only in the dashboard until `W` unlocks it: one lock for every screen.

It sits where keys come in, by `Verb.writes`, so that no form is filled in for nothing; and where
requests leave the dashboard, so that a screen which forgets it changes nothing either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminError
from pylon.tui.dialogs import Question
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What is asked by POST and changes nothing of the app.
_READING: Final = frozenset(
    {"admin/query", "admin/explain", "admin/sql", "admin/mail/preview", "admin/backups"}
)
_CALL: Final = "admin/call"
#: Proving a backup, and copying it elsewhere.
_BACKUPS: Final = "admin/backups/"
_KEEPING: Final = ("/verify", "/send")
#: What is asked with it is only looked at.
_LOOK: Final = "look"


class Production:
    """The lock of one dashboard."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app

    @property
    def is_locked(self) -> bool:
        """Tell whether nothing can be changed now."""
        state = self._app.state
        return state.is_production and not state.is_unlocked

    def objects(self) -> bool:
        """Tell whether nothing can be changed now, and say so."""
        if self.is_locked:
            say(self._app, "PRODUCTION is read-only here: W unlocks it", is_bad=True)
        return self.is_locked

    def demand(self, path: str, body: dict[str, Any]) -> None:
        """Raise AdminError for a request that would change something while it is locked.

        Args:
            path: the path that is posted to, below /api/.
            body: what is posted.
        """
        if not self.is_locked or path in _READING or body.get(_LOOK) is True:
            return
        if path.startswith(_BACKUPS) and path.endswith(_KEEPING):
            return
        if path == _CALL and self._is_query(str(body.get("fn"))):
            return
        raise AdminError(
            "PRODUCTION is read-only here",
            answer={"code": "READ_ONLY", "hint": "W unlocks it, until this dashboard is left"},
        )

    def _is_query(self, fn: str) -> bool:
        known = self._app.state.functions.by_name.get(fn)
        return known is not None and known["kind"] == "query"

    def turn(self) -> None:
        """Unlock production after a question, or lock it again."""
        state = self._app.state
        if not state.status:
            say(self._app, "the runtime is not up yet")
        elif not state.is_production:
            say(self._app, "this is development: everything can be changed", seconds=4)
        elif state.is_unlocked:
            self._set(is_unlocked=False)
            say(self._app, "read-only again", seconds=4)
        else:
            name = state.app_name + (f" on {state.machine}" if state.machine else "")
            self._app.push_screen(
                Question(
                    f"This is PRODUCTION.\n\nAllow changes to {name} until this dashboard is left?"
                ),
                lambda yes: self._set(is_unlocked=True) if yes else None,
            )

    def _set(self, *, is_unlocked: bool) -> None:
        self._app.state.is_unlocked = is_unlocked
        for part in ("status", "data", "backups"):
            self._app.state.touch(part)
