"""Keys that mean the same on every screen: zoom, jump, the other list, ctrl+c, looks, locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.widgets import Input, TextArea

from pylon.tui.browser import open_page
from pylon.tui.dialogs import Question
from pylon.tui.preferences import keep_charts
from pylon.tui.saying import say
from pylon.tui.screens.jump import JumpScreen
from pylon.tui.targets import targets_of
from pylon.tui.zooming import unzoom, zoom

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


class GettingAbout(App[int]):
    """The part of the dashboard that moves within it."""

    @property
    def _whole(self) -> Dashboard:
        return cast("Dashboard", self)

    def action_zoom(self) -> None:
        """Give the list in focus all the room."""
        if self._whole.pane.zoomed is None and not zoom(self._whole.pane):
            say(self, "there is one list here: it has all the room")

    def action_unzoom(self) -> None:
        """Show all of the screen again."""
        unzoom(self._whole.pane)

    def action_jump(self) -> None:
        """Put a letter on everything one can go to."""
        if len(self.screen_stack) == 1:
            self.push_screen(JumpScreen(targets_of(self._whole)))

    def action_other_list(self) -> None:
        """Go over to another list of the screen."""
        if len(self.screen_stack) == 1:
            self._whole.pane.action_other_list()

    def action_interrupt(self) -> None:
        """Copy the text that is selected; where there is none, ask whether to quit."""
        focused = self.focused
        typed = focused.selected_text if isinstance(focused, Input | TextArea) else ""
        text = typed or self.screen.get_selected_text()
        if text:
            self.copy_to_clipboard(text)
            say(self, "copied (if your terminal allows it)", seconds=2)
        elif not isinstance(self.screen, Question):
            self._whole.leaving.ask_surely()

    def action_unlock(self) -> None:
        """Allow changes in production, or not any more."""
        self._whole.production.turn()

    def action_charts(self, kind: str) -> None:
        """Draw charts in another way, and remember it."""
        self._whole.charts = kind
        keep_charts(kind)
        self._whole.pane.refresh_from(force=True)

    async def _open_page(self, url: str) -> None:
        opened = await open_page(url)
        say(self, url if opened else f"no browser here; open {url}", seconds=6)

    def action_nothing(self) -> None:
        """Take a key that means something elsewhere only."""

    def action_help(self) -> None:
        """Show the keys, made from the bindings."""
        self._whole.show_help(str(self._whole.pane.id))
