"""Where one stands in the log: at now, or at a change that Data shows rows as of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon.client.admin import AdminClient
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class Past:
    """The place in the log of one dashboard."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin

    def travel(self, seq: int | None) -> None:
        """Open the slider over the log at a change; None: where one stands."""
        from pylon.tui.screens.scrub import ScrubScreen

        wanted = self._app.state.data.as_of if seq is None else seq
        self._app.push_screen(ScrubScreen(self._app, self._admin, wanted))

    def stand(self, seq: int | None) -> None:
        """Have rows shown as of a change; None: as of now."""
        if seq != self._app.state.data.as_of:
            self._app.state.data.stand(seq)
            self._app.panes["data"].ask_again()
            self._app.state.touch("data")

    def leave(self) -> None:
        """Return to now."""
        self.stand(None)
        say(self._app, "back to now")

    def open_data(self, entity: str) -> None:
        """Show the rows of an entity."""
        from pylon.tui.data_pane import DataPane

        pane = self._app.panes["data"]
        assert isinstance(pane, DataPane)
        self._app.action_pane("data")
        pane.open(entity)
