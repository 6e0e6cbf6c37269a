"""One account: what it is, what signs it in, its sessions and tokens, what can be done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from pylon import jsonvalue
from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import users_tables
from pylon.tui.dialogs import Details
from pylon.tui.saying import say
from pylon.tui.screens.above import CloseUp
from pylon.tui.user_actions import USER_VERBS, UserActions
from pylon.tui.verbs import Verb, in_footer
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_POLL_SECONDS: Final = 1.0
_END: Final = Verb(
    "x", "revoke", "End the session or token under the cursor", brief="End", id="users.end",
    cli="users revoke",
)  # fmt: skip


class UserScreen(CloseUp):
    """Everything about an account, asked anew every second."""

    CSS = "UserScreen #about { height: auto; }"
    verbs = (*USER_VERBS, _END)
    BINDINGS: ClassVar[list[BindingType]] = [
        *in_footer(verbs),
        Binding("w", "why", "Why", show=False, id="why"),
        Binding("y", "copy", "Copy", show=False, id="copy"),
    ]
    title_text, pane, lead = "User", "users", "User"
    gone = "it is deleted"

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: UserActions, user: dict[str, Any]
    ) -> None:
        super().__init__(dashboard, admin)
        self._actions = actions
        self._user = user

    @property
    def crumb(self) -> str:
        """Return whose account it is."""
        found = self.found or self._user
        return str(found.get("email") or users_tables.id_of(found))

    @property
    def path(self) -> str:
        """Return where the runtime is asked about it."""
        return f"admin/users/{self._admin.quoted(users_tables.id_of(self._user))}"

    @property
    def news(self) -> str:
        """Return what is under way."""
        return self._actions.doing

    def body(self) -> Iterator[Widget]:
        """Lay out facts, news and sessions."""
        yield Static(id="about", markup=False)
        yield Static(id="news", markup=False)
        yield LineList(
            users_tables.session_line, head=users_tables.sessions_head,
            empty="No session and no token: it is signed in nowhere.",
        )  # fmt: skip

    def on_mount(self) -> None:
        """Be ready to choose a session."""
        self.query_one(LineList).focus()

    async def rest(self, took: float) -> None:
        """Wait before it is asked again."""
        await asyncio.sleep(_POLL_SECONDS)

    def show(self) -> None:
        """Show facts and sessions."""
        assert self.found is not None
        facts = users_tables.facts_of(self.found, self.size.width)
        self.show_words("#about", clean_block("\n".join(facts)))
        rows = self.found["sessions"]
        self.query_one(LineList).show(rows, key=lambda row: row["id"], total=len(rows))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer signing in as somebody in development only."""
        return action != "sign_in_as" or self._actions.is_dev

    # --- what the keys do

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show a session or token whole."""
        event.stop()
        self.app.push_screen(
            Details(str(event.row["kind"]), users_tables.session_words(event.row),
                    copied=str(event.row["id"]))
        )  # fmt: skip

    def action_user(self, name: str) -> None:
        """Do something to the account."""
        if self.found is not None:
            self._actions.do(name, self.found, self.ask_again)

    def action_sign_in_as(self) -> None:
        """Open the app as this account."""
        self.action_user("sign_in_as")

    def action_revoke(self) -> None:
        """End the session or token under the cursor."""
        session = self.query_one(LineList).current
        if self.found is None or session is None:
            say(self.app, "there is no session to end")
            return
        self._actions.revoke_one(self.found, session, self.ask_again)

    def action_why(self) -> None:
        """Ask why this account may do something with a row, or may not."""
        self._dashboard.asking_why.about_user(users_tables.label_of(self._user))

    def action_copy(self) -> None:
        """Offer what can be copied."""
        session = self.query_one(LineList).current
        more = [] if session is None else [(f"{session['kind']} id", str(session["id"]))]
        self._dashboard.offer_copies(
            [*user_copies(self._user), *more, ("JSON", jsonvalue.encode_text(self.found))]
        )


def user_copies(user: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of an account."""
    found = [
        ("id", users_tables.id_of(user)),
        ("command", users_tables.command("users show", user)),
    ]
    return [("address", str(user["email"])), *found] if user.get("email") else found
