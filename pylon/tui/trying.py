"""Functions that are tried from the dashboard: the form, and what was given there last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient
from pylon.printable import clean
from pylon.tui.acting import Acting
from pylon.tui.functions_state import why_not_tried
from pylon.tui.saying import say
from pylon.tui.screens.try_call import TryScreen
from pylon.tui.try_form import ANONYMOUS, SYSTEM
from pylon.tui.verbs import Verb

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: What can be done with a function, in the list and on its own screen.
FUNCTION_VERBS: Final = (
    Verb("t", "try", "Try it: a form, as any user", brief="Try it", id="functions.try",
         cli="call"),
)  # fmt: skip


class Trying(Acting):
    """The owner's hand on the functions of one dashboard's app."""

    part = "functions"

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app, admin)
        #: What stood in the fields of each function when its form was left.
        self.drafts: dict[str, dict[str, str]] = {}
        self._user: str | None = None

    @property
    def user(self) -> str:
        """Return whom the last function was called as; in production nobody is proposed."""
        return self._user if self._user is not None else SYSTEM if self.is_dev else ""

    @user.setter
    def user(self, name: str) -> None:
        self._user = name

    def known_users(self) -> list[str]:
        """Return whom one may want to call as: nobody, the system, and whoever was seen."""
        state = self._app.state
        seen = [str(one["user"]) for one in reversed(state.calls) if "@" in str(one["user"])]
        seen += [str(one["email"]) for one in state.clients if one.get("email")]
        seen += [str(one["email"]) for one in state.users.rows if one.get("email")]
        return [SYSTEM, ANONYMOUS, *dict.fromkeys(seen)]

    def begin(self, function: dict[str, Any]) -> None:
        """Show the form of a function, unless nothing could come of it."""
        why_not = why_not_tried(function)
        if why_not:
            say(self._app, why_not, seconds=5)
            return
        self._app.push_screen(TryScreen(self._app, self._admin, self, function))

    def consent(self, function: dict[str, Any], user: str) -> str:
        """Return what to ask before a call; empty where nothing is to be asked."""
        if self.is_dev or function["kind"] == "query":
            return ""
        name, kind = clean(function["name"]), function["kind"]
        who = "the system, past all policies" if user == SYSTEM else clean(user)
        return f"Call {kind} {name} as {who}? What it writes, it writes for real people."
