"""The pane of policies: who may do what, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.dialogs import Details
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.panes import Pane
from pylon.tui.policies import Policies
from pylon.tui.policies_text import all_of, details_of, is_bad_policy, rows_of, title_of
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class PoliciesPane(Pane):
    """Who may do what, in words."""

    own_keys = "enter opens: source, findings, coverage · n the next that deserves a look (!)"
    parts = ("policies",)
    filters = (listed(tables.POLICIES, tables.policy_line, text=all_of),)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._policies = Policies(app, admin)

    def compose(self) -> ComposeResult:
        """Lay out the keys and the list."""
        yield self.keys_line()
        yield LineList(
            tables.policy_line, is_bad=is_bad_policy, head=tables.HEADS["policies"],
            empty="The app has no entity yet, so there is no policy.",
        )  # fmt: skip

    @property
    def is_troubled(self) -> bool:
        """Tell that nobody is called from elsewhere: a flag may be meant so."""
        return False

    def show(self) -> None:
        """Show the policies that pass the filter."""
        found = rows_of(self.state.policies)
        rows = self.passing(found)
        assert self.list is not None
        note = f" · {self._policies.note}" if self._policies.note else ""
        self.list.show(
            rows,
            key=lambda row: (row["entity"], row["access"]),
            total=len(found),
            note=note,
            is_read=bool(self.state.policies),
        )

    def keep_current(self) -> None:
        """Ask for the matrix where it is of another generation."""
        self._policies.keep_current()

    def ask_again(self) -> None:
        """Have the matrix read again."""
        self._policies.ask_again()

    def take(self, message: dict[str, Any]) -> None:
        """Say what a reload changed for whom."""
        if message.get("type") == "policy_change":
            self._policies.take_change(message)

    async def open_row(self, row: Any) -> None:
        """Show a policy whole."""
        self.app.push_screen(Details(title_of(row), details_of(row)))


SCREEN = Entry(
    "policies", "Policies", "who may do what, in words, and what deserves a look", PoliciesPane,
    key="9",
)  # fmt: skip
