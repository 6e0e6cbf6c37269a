"""How a screen is described, once for the strip, the keys, the help and the palette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pylon.tui.verbs import Verb, key_name

if TYPE_CHECKING:
    from pylon.client.admin import AdminClient
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.panes import Pane

#: (keys, words) of a line of the help.
Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that the palette offers on every screen."""

    title: str
    words: str
    #: An action of the pane.
    action: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One screen of the dashboard."""

    #: The id of its pane.
    name: str
    title: str
    #: What is to be seen there, in one line.
    words: str
    #: Makes the pane, with whatever reads and acts for it.
    build: Callable[[Dashboard, AdminClient], Pane]
    #: Empty: it is found in the palette only.
    key: str = ""
    #: What the help lists.
    verbs: tuple[Verb, ...] = ()
    #: Lines of the help before the verbs, and after them.
    first: Lines = ()
    last: Lines = ()
    #: What stands above them, where it is not `On` and the title.
    help_title: str = ""
    offers: tuple[Offer, ...] = field(default=())

    @property
    def pane_id(self) -> str:
        """Return the id of the binding that goes there."""
        return f"pane.{self.name}"

    def help_lines(self, keymap: Mapping[str, str]) -> list[str]:
        """Return the screen's section of the help; empty where it has no keys of its own."""
        verbs = [(key_name(one, keymap), one.description) for one in self.verbs]
        lines = [*self.first, *verbs, *self.last]
        if not lines:
            return []
        head = self.help_title or f"On {self.title}"
        return [head, "", *(f"  {key:<14} {text}" for key, text in lines)]
