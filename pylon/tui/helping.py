"""The help, made of the screens and their keys."""

from __future__ import annotations

from textual.binding import Binding

from pylon.tui.keys import BINDINGS
from pylon.tui.registry import SCREENS
from pylon.tui.verbs import key_name
from pylon.tui.widgets.line_list import LineList


def help_text(place: str = "") -> str:
    """Return the help: first the keys of a screen, then screens, keys, and all other screens'."""
    lines = []
    sections = {one.name: one.help_lines() for one in SCREENS}
    if first := sections.pop(place, []):
        lines += [*first, ""]
    lines += ["Screens", ""]
    lines += [f"  {one.key:<10} {one.title}: {one.words}" for one in SCREENS]
    lines += ["", "Keys", ""]
    for one in (*BINDINGS, *(each for each in LineList.BINDINGS if isinstance(each, Binding))):
        if not one.action.startswith("pane"):
            lines.append(f"  {key_name(one):<14} {one.description}")
    for section in sections.values():
        if section:
            lines += ["", *section]
    lines += ["", "The palette (: or ctrl+p) has every action. Mouse works, and is not needed."]
    return "\n".join(lines)
