"""The help, made of the screens and their keys as they are bound now."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from pylon.tui.keymap import own_bindings
from pylon.tui.keys import BINDINGS
from pylon.tui.registry import SCREENS
from pylon.tui.verbs import key_name, words_of_keys
from pylon.tui.widgets.line_list import LineList

#: A line's keys, and the room up to its words; keys that need all of the column leave one cell.
_KEYS = re.compile(r"  (?:.{14} (?! )|\S.{0,40}? {2,}(?! ))")


def help_text(place: str, keymap: Mapping[str, str]) -> str:
    """Return the help: first the keys of a screen, then screens, keys, and all other screens'."""
    lines = []
    sections = {one.name: one.help_lines(keymap) for one in SCREENS}
    if first := sections.pop(place, []):
        lines += [*first, ""]
    lines += ["Screens", ""]
    for one in SCREENS:
        key = words_of_keys(keymap.get(one.pane_id, one.key).split(","))
        lines.append(f"  {key:<10} {one.title}: {one.words}")
    lines += ["", "Keys", ""]
    for binding in (*BINDINGS, *own_bindings(LineList)):
        if not binding.action.startswith("pane"):
            lines.append(f"  {key_name(binding, keymap):<14} {binding.description}")
    for section in sections.values():
        if section:
            lines += ["", *section]
    lines += ["", "The palette (: or ctrl+p) has every action. Mouse works, and is not needed."]
    return "\n".join(lines)


def folded(text: str, width: int) -> str:
    """Return the help at a width: words that go on, go on below words."""
    lines = []
    for line in text.split("\n"):
        keys = _KEYS.match(line) if len(line) > width else None
        indent = " " * (keys.end() if keys else 0)
        lines += textwrap.wrap(line, max(width, 30), subsequent_indent=indent) or [""]
    return "\n".join(lines)
