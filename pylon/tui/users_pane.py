"""The pane of accounts: a list read page by page, and what can be done to the one chosen."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pylon.printable import clean_block
from pylon.tui import users_tables
from pylon.tui.keys import USER_BINDINGS
from pylon.tui.model import DashboardState
from pylon.tui.panes import Pane
from pylon.tui.user_actions import UserActions
from pylon.tui.users import Users
from pylon.tui.widgets.line_list import LineList


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

    title_text = "Users"
    parts = ("users",)
    filter_hint = "search: words in address, id, roles; role:admin state:disabled; !not"
    DEFAULT_CSS = """
    UsersPane #users-note { height: 1; color: $text-muted; text-wrap: nowrap;
        text-overflow: ellipsis; }
    UsersPane #users-note.bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "invite", "Invite somebody", show=False), *USER_BINDINGS
    ]  # fmt: skip

    def __init__(self, state: DashboardState, users: Users, actions: UserActions) -> None:
        super().__init__(state)
        self._users = users
        self.actions = actions
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

    def show(self) -> None:
        """Show the accounts that are held."""
        assert self.list is not None
        pages = self._users.pages
        self.list.show(pages.rows, key=lambda row: row["key"], total=pages.total)
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
