"""The last line of a screen: the keys that do something there, and notices as long as they last.

A notice of one line covers keys and no row; a longer one moves what stands above it up.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen
from textual.widgets import Footer

from pylon.tui.saying import NOTICES


class KeysLine(Footer):
    """The keys of now; none while a window lies above the screen, which has keys of its own."""

    DEFAULT_CSS = """
    KeysLine.covered > FooterKey { visibility: hidden; }
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Look at once whenever something opens or closes; have notices stand in this line."""
        for rack in self.screen.query(f"#{NOTICES}"):
            rack.add_class("in-keys-line")
            self.screen.move_child(rack, after=self)  # what is last is drawn over the others
        self.app.screen_change_signal.subscribe(self, self._look, immediate=True)

    def _look(self, top: Screen[Any]) -> None:
        self.set_class(top is not self.screen, "covered")
