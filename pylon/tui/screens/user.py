"""One account: what it is, what signs it in, its sessions and tokens, what can be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Static

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.printable import clean, clean_block
from pylon.tui import users_tables
from pylon.tui.dialogs import Details
from pylon.tui.header import HeaderLine
from pylon.tui.keys import LEAVING, USER_BINDINGS
from pylon.tui.saying import say
from pylon.tui.user_actions import UserActions
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_POLL_SECONDS = 1.0
_OLD_SECONDS = 2.0


class UserScreen(Screen[None]):
    """Everything about an account, asked anew every second."""

    CSS = """
    UserScreen #about { height: auto; }
    UserScreen #news { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    UserScreen #news.bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", key_display="esc"),
        Binding("plus", "user('grant')", "Grant", key_display="+"),
        Binding("minus", "user('revoke_role')", "Take back", key_display="-"),
        Binding("x", "revoke", "End"),
        Binding("X", "user('revoke_all')", "End all"),
        Binding("d", "user('disable')", "Disable"),
        *[one for one in USER_BINDINGS if one.key not in ("plus", "minus", "X", "d")],
        Binding("w", "why", "Why", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        *[one for one in LEAVING if "help" not in one.action],
    ]

    def __init__(
        self, dashboard: Dashboard, admin: AdminClient, actions: UserActions, user: dict[str, Any]
    ) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._admin = admin
        self._actions = actions
        self._user = user
        self._found: dict[str, Any] | None = None
        self._read_at = dashboard.clock.monotonic()
        self._trouble = ""
        self._facts = ""
        self._news = (False, "")

    def compose(self) -> ComposeResult:
        """Lay out header, facts, sessions and keys."""
        yield HeaderLine(markup=False)
        yield Static(id="about", markup=False)
        yield Static(id="news", markup=False)
        yield LineList(
            users_tables.session_line, head=users_tables.sessions_head,
            empty="No session and no token: it is signed in nowhere.",
        )  # fmt: skip
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to ask."""
        self._show_news()
        self.set_interval(1 / 4, self._show_news)
        self.run_worker(self._poll(), name="user", group="user", exclusive=True)
        self.query_one(LineList).focus()

    def on_resize(self) -> None:
        """Cut the facts for the new width."""
        self._show()

    async def _poll(self) -> None:
        while True:
            await self._ask()
            await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self) -> None:
        path = f"admin/users/{self._admin.quoted(users_tables.id_of(self._user))}"
        try:
            self._found = await self._admin.get(path)
        except AdminError as error:
            self._trouble = "it is deleted" if error.code == "NOT_FOUND" else error.message
            return
        self._trouble, self._read_at = "", self._dashboard.clock.monotonic()
        self._show()

    def ask_again(self) -> None:
        """Ask at once."""
        self.run_worker(self._ask(), name="user again", group="user again")

    def _show_news(self) -> None:
        """Show the first line, what is under way, and how far the rest can be trusted."""
        if not self.query("#news"):
            return
        self._dashboard.show_header(self.query_one(HeaderLine), place="User")
        old = self._dashboard.clock.monotonic() - self._read_at
        is_bad = bool(self._trouble) or old > _OLD_SECONDS
        news = self._actions.doing
        if self._found is None and not is_bad:
            news = "◔ reading …"
        elif is_bad:
            why = f": {self._trouble}" if self._trouble else ""
            news = f"STALE: not read for {old:.0f} s{why}"
        if (is_bad, news) != self._news:
            self._news = (is_bad, news)
            line = self.query_one("#news", Static)
            line.set_class(is_bad, "bad")
            line.update(clean(f" {news}"), layout=False)

    def _show(self) -> None:
        found = self._found
        if found is None or not self.query("#about"):  # an answer may come when it is closed
            return
        facts = clean_block("\n".join(users_tables.facts_of(found, self.size.width)))
        if facts != self._facts:  # a new text lays the screen out anew
            self._facts = facts
            self.query_one("#about", Static).update(facts)
        rows = found["sessions"]
        self.query_one(LineList).show(rows, key=lambda row: row["id"], total=len(rows))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer signing in as somebody in development only."""
        return action != "sign_in_as" or self._actions.is_dev

    # --- what the keys do

    def action_leave_for(self, pane: str) -> None:
        """Go back, and on to another pane."""
        self.dismiss()
        self._dashboard.action_pane(pane)

    def action_help(self) -> None:
        """Show the keys, those of this place first."""
        self._dashboard.show_help("users")

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show a session or token whole."""
        event.stop()
        self.app.push_screen(
            Details(str(event.row["kind"]), users_tables.session_words(event.row),
                    copied=str(event.row["id"]))
        )  # fmt: skip

    def action_user(self, name: str) -> None:
        """Do something to the account."""
        if self._found is not None:
            self._actions.do(name, self._found, self.ask_again)

    def action_sign_in_as(self) -> None:
        """Open the app as this account."""
        self.action_user("sign_in_as")

    def action_revoke(self) -> None:
        """End the session or token under the cursor."""
        session = self.query_one(LineList).current
        if self._found is None or session is None:
            say(self.app, "there is no session to end")
            return
        self._actions.revoke_one(self._found, session, self.ask_again)

    def action_why(self) -> None:
        """Ask why this account may do something with a row, or may not."""
        self._dashboard.asking_why.about_user(users_tables.label_of(self._user))

    def action_copy(self) -> None:
        """Offer what can be copied."""
        session = self.query_one(LineList).current
        more = [] if session is None else [(f"{session['kind']} id", str(session["id"]))]
        self._dashboard.offer_copies(
            [*user_copies(self._user), *more, ("JSON", jsonvalue.encode_text(self._found))]
        )


def user_copies(user: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of an account."""
    found = [
        ("id", users_tables.id_of(user)),
        ("command", users_tables.command("users show", user)),
    ]
    return [("address", str(user["email"])), *found] if user.get("email") else found
