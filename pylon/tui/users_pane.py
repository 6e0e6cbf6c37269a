"""The pane of accounts: a list read page by page, and what can be done to the one chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from pylon.client.admin import AdminClient
from pylon.printable import clean_block
from pylon.tui import users_tables
from pylon.tui.copying import Copies
from pylon.tui.entry import Entry, Offer
from pylon.tui.panes import Pane
from pylon.tui.screens.user import UserScreen, user_copies
from pylon.tui.user_actions import USER_VERBS, UserActions
from pylon.tui.users import Users
from pylon.tui.users_tables import label_of
from pylon.tui.verbs import Verb
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_INVITE: Final = Verb("i", "invite", "Invite somebody", id="users.invite", cli="users invite")


class UserList(LineList):
    """The list of accounts, of which not all are held."""

    def __init__(self, users: Users) -> None:
        super().__init__(
            users_tables.user_line, head=users_tables.users_head,
            empty="Nobody is found. i invites somebody; accounts come with the first sign-in, too.",
        )  # fmt: skip
        self._users = users

    @property
    def counter(self) -> str:
        """Return where the cursor is, of all that the runtime found."""
        return f" {min(self.cursor + 1, len(self.rows))}/{self._users.pages.total or 0}"

    def action_bottom(self) -> None:
        """Go to the last row, and on as more are read."""
        super().action_bottom()
        self._users.go_to_end()

    def _go(self, place: int) -> None:
        """Move the cursor; away from the end nothing more is read for its sake."""
        if place < len(self.rows) - 1:
            self._users.pages.wants_end = False
        super()._go(place)


class UsersPane(Pane):
    """Who has an account."""

    lead = "User"
    verbs = (*USER_VERBS, _INVITE)
    parts = ("users",)
    filter_hint = "search: words in address, id, roles; role:admin state:disabled; !not"
    fields = users_tables.SEARCHED
    DEFAULT_CSS = """
    UsersPane #users-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    UsersPane #users-note.bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*verbs]

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._users = Users(app, admin)
        self.actions = UserActions(app, admin)
        self._is_ending = False

    def compose(self) -> ComposeResult:
        """Lay out a line of news and the list."""
        yield Static(id="users-note", markup=False)
        yield UserList(self._users)

    def keep_current(self) -> None:
        """Ask for what is missing or old of what is in sight."""
        one = self.list
        assert one is not None
        self._users.keep_current(
            self.terms, one.cursor, int(one.scroll_offset.y), max(1, one.size.height - 1)
        )

    def ask_again(self) -> None:
        """Have what is in sight read again."""
        self._users.ask_again()

    def show(self) -> None:
        """Show the accounts that are held."""
        assert self.list is not None
        pages = self._users.pages
        is_read = pages.total is not None
        self.list.show(
            pages.rows, key=lambda row: row["key"], total=pages.total, is_read=is_read
        )  # fmt: skip
        if pages.wants_end or self._is_ending:
            self.list.action_move(len(pages.rows))
        self._is_ending = pages.wants_end
        said = self.state.users_note
        line = self.query_one("#users-note", Static)
        line.set_class(said.startswith(("STALE", "✗")), "bad")
        quiet = "enter opens · i invites · + - roles · d disables · / searches · ? all keys"
        line.update(clean_block(f" {said or self.actions.doing or quiet}"), layout=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer signing in as somebody in development only."""
        return action != "sign_in_as" or self.actions.is_dev

    # --- what the keys do

    async def open_row(self, row: Any) -> None:
        """Show an account on a screen of its own."""
        self.app.push_screen(UserScreen(self._dashboard, self._admin, self.actions, row))

    def copies_of(self, row: Any, url: str) -> Copies:
        """Offer its address, id and command, too."""
        return [*user_copies(row), *super().copies_of(row, url)]

    def ask_why(self, row: Any) -> None:
        """Ask as an account."""
        if row is None:
            super().ask_why(row)
        else:
            self._dashboard.asking_why.about_user(label_of(row))

    @property
    def _current(self) -> dict[str, Any] | None:
        return self.list.current if self.list is not None else None

    def action_invite(self) -> None:
        """Invite somebody."""
        self.actions.invite(self._users.ask_again)

    def action_user(self, name: str) -> None:
        """Do something to the account under the cursor."""
        if self._current is not None:
            self.actions.do(name, self._current, self._users.ask_again)

    def action_sign_in_as(self) -> None:
        """Open the app as the account under the cursor."""
        self.action_user("sign_in_as")


SCREEN = Entry(
    "users", "Users", "accounts, roles, sessions; invite, disable, revoke", UsersPane, key="U",
    verbs=UsersPane.verbs,
    first=(
        ("enter", "all about it: sessions, tokens, what signs it in"),
        ("x", "there: end the session or token under the cursor"),
    ),
    last=(
        ("w", "Why it may do something with a row, or not"),
        ("y", "Copy: address, id, command, JSON"),
        ("/", "Search: words, role:admin, state:disabled, !not"),
        ("", "(active, disabled, guest, invited, unproven)"),
    ),
    offers=(
        Offer("Invite a user", "an account, and a link by mail that signs it in once", "invite"),
    ),
)  # fmt: skip
