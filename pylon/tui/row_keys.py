"""What enter, y, w and v do with the row under the cursor, where that is the same for all panes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylon.tui.copying import Copies
from pylon.tui.dialogs import CopyMenu, Prompt
from pylon.tui.panes import WHERE_WHY
from pylon.tui.saying import say
from pylon.tui.screens.ghost import GhostScreen

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class RowKeys:
    """The rows of one dashboard."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app

    @property
    def _is_covered(self) -> bool:
        """Tell whether something lies above the screen: its cursor is out of sight then."""
        return len(self._app.screen_stack) > 1

    @property
    def _current(self) -> Any:
        pane = self._app.pane
        return pane.list.current if pane.list is not None else None

    def why(self) -> None:
        """Ask why a user may do something with the row under the cursor, or may not."""
        if self._is_covered:
            say(self._app, WHERE_WHY)
        else:
            self._app.pane.ask_why(self._current)

    def copy(self) -> None:
        """Offer what can be copied of the row under the cursor."""
        if self._is_covered or self._current is None:
            say(self._app, "there is nothing to copy here")
        else:
            self.offer(self._app.pane.copies_of(self._current, self._app.page_url()))

    def offer(self, options: Copies) -> None:
        """Let one of (name, text) be chosen, and copy it; the only one is copied at once."""
        if len(options) == 1:
            self._copied(options[0][1])
            return

        def chosen(key: str | None) -> None:
            text = next((text for name, text in options if name == key), None)
            if text is not None:
                self._copied(text)

        self._app.push_screen(CopyMenu(options), chosen)

    def _copied(self, text: str) -> None:
        self._app.copy_to_clipboard(text)
        say(self._app, f"copied {text[:60]} (if your terminal allows it)")

    def ghost(self) -> None:
        """Ask whose client to watch, and do it."""

        def named(user: str | None) -> None:
            if user:
                self._app.push_screen(GhostScreen(self._app, user, None))

        self._app.push_screen(
            Prompt("Watch as", "an e-mail address, a user id, or anonymous"), named
        )
