"""The pane of clients: every connection and every known client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from pylon.client.admin import AdminClient
from pylon.tui import tables
from pylon.tui.client_actions import CLIENT_VERBS, ClientActions
from pylon.tui.entry import Entry
from pylon.tui.filtering import listed
from pylon.tui.panes import Pane
from pylon.tui.screens.client import ClientScreen
from pylon.tui.widgets.line_list import LineList

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class ClientsPane(Pane):
    """Every connection and every known client."""

    own_keys = "enter opens, then v ghost, d disconnect, N network · w why · ? all keys"
    parts = ("clients",)
    filters = (listed(tables.CLIENTS, tables.client_line),)

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        super().__init__(app.state)
        self._dashboard = app
        self._admin = admin
        self._actions = ClientActions(app, admin)

    def compose(self) -> ComposeResult:
        """Lay out the keys and the list."""
        yield self.keys_line()
        yield LineList(
            tables.client_line, is_bad=tables.is_bad_client, head=tables.HEADS["clients"],
            empty="Nobody is connected. Press o to open the app in a browser.",
        )  # fmt: skip

    def show(self) -> None:
        """Show the clients."""
        rows = self.passing(self.state.clients)
        assert self.list is not None
        self.list.show(
            rows,
            key=lambda row: (row["connection_id"], row["client_id"]),
            total=len(self.state.clients),
            is_read="clients" in self.state.told,
        )

    @property
    def is_troubled(self) -> bool:
        """Tell whether somebody who is connected is behind."""
        return any(tables.is_bad_client(one) for one in self.state.clients)

    async def open_row(self, row: Any) -> None:
        """Show a client on a screen of its own."""
        self.app.push_screen(ClientScreen(self._dashboard, self._admin, self._actions, row))

    def ask_why(self, row: Any) -> None:
        """Ask as the user of a client."""
        if row is None:
            super().ask_why(row)
        else:
            user = str(row["email"] or row["user_id"] or "anonymous")
            self._dashboard.asking_why.about_user(user)


SCREEN = Entry(
    "clients", "Clients", "who is connected, and how far they have come", ClientsPane, key="4",
    verbs=CLIENT_VERBS, help_title="On a client (enter on its line)",
)  # fmt: skip
