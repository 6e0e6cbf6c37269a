"""The second line: every screen with its key, so that all of them can be found; a click goes there.

Where not all names fit, the longest ones are cut, the one that is seen last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.events import Click
from textual.widgets import Static

from pylon.tui.entry import Entry
from pylon.tui.muted import muted_style
from pylon.tui.verbs import words_of_keys

_SHORTEST = 2
#: (key, name) of each screen.
Screens = Sequence[tuple[str, str]]


class ScreenStrip(Static):
    """One line with the keys and names of the screens."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"strip--here"}
    DEFAULT_CSS = """
    ScreenStrip { height: 1; width: 100%; background: $surface; color: $foreground;
        text-wrap: nowrap; text-overflow: ellipsis; }
    ScreenStrip > .strip--here { text-style: bold reverse; }
    """

    def __init__(
        self, screens: Sequence[Entry], keymap: Mapping[str, str], go: Callable[[str], None]
    ) -> None:
        """Make the strip; `go` shows the screen of a name, `keymap` has keys bound otherwise."""
        super().__init__(markup=False)
        self._keymap = keymap
        self._all = screens
        self._go = go
        self._names: list[str] = []
        self._screens: list[tuple[str, str]] = []
        self._here = 0
        #: (screen, width) that is drawn; None: anew.
        self._shown: tuple[str, int] | None = None

    def notify_style_update(self) -> None:
        """Draw anew with the colours of another theme."""
        super().notify_style_update()
        self._shown = None

    def show(self, name: str) -> None:
        """Mark the screen that is seen, and cut the names for the width of this moment."""
        # One without a key is there only while it is seen.
        listed = [one for one in self._all if one.key or one.name == name]
        self._names = [one.name for one in listed]
        self._screens = [
            (
                words_of_keys([self._keymap.get(one.pane_id, one.key or ":").split(",")[0]]),
                one.title,
            )
            for one in listed
        ]
        self._here = self._names.index(name)
        wanted = (name, self.size.width)
        if wanted == self._shown:
            return
        self._shown = wanted
        text = Text(no_wrap=True, overflow="ellipsis")
        quiet = muted_style(self)
        for place, piece in enumerate(strip_pieces(self._screens, self._here, self.size.width)):
            is_here = place == self._here
            text.append(piece, self.get_component_rich_style("strip--here") if is_here else quiet)
        self.update(text)

    def places(self) -> list[tuple[str, int]]:
        """Return (name, first cell) of each screen in the line."""
        pieces = strip_pieces(self._screens, self._here, self.size.width)
        return [(name, sum(map(len, pieces[:place]))) for place, name in enumerate(self._names)]

    def on_click(self, event: Click) -> None:
        """Go to the screen that was clicked."""
        end = 0
        for name, piece in zip(
            self._names, strip_pieces(self._screens, self._here, self.size.width), strict=True
        ):
            end += len(piece)
            if event.x < end:
                self._go(name)
                return


def strip_pieces(screens: Screens, here: int, width: int) -> list[str]:
    """Return ` key name ` of each screen, so cut that all of them fit if they can."""
    longest = max(len(name) for _, name in screens)
    brief = [(key.replace("ctrl+", "^"), name) for key, name in screens]
    # Two cells between them read best; rather than no names at all, one is enough.
    for listed, gap in ((screens, " "), (screens, ""), (brief, "")):
        for most in range(longest, _SHORTEST - 1, -1):
            pieces = _pieces(listed, here, [most] * len(listed), gap)
            if sum(map(len, pieces)) <= width:
                return pieces
    # Names of as many as have room, the first ones first; of the others the keys are left.
    sizes = [0] * len(brief)
    pieces = _pieces(brief, here, sizes, "")
    for place in range(len(brief)):
        sizes[place] = _SHORTEST
        tried = _pieces(brief, here, sizes, "")
        if sum(map(len, tried)) > width:
            break
        pieces = tried
    return pieces


def _pieces(screens: Screens, here: int, sizes: Sequence[int], gap: str) -> list[str]:
    """Return the pieces with so much of each name, and all of that which is seen."""
    return [
        f" {key} {name} " if place == here else f" {key} {name[:size]}{gap}"
        for place, ((key, name), size) in enumerate(zip(screens, sizes, strict=True))
    ]
