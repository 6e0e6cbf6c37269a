"""The dashboard's keys that mean the same on every screen."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding

from pylon.tui.registry import SCREENS
from pylon.tui.verbs import Verb

#: What the palette offers everywhere.
EVERYWHERE: Final = (
    # First of all: what is typed behind it in one go is for the line, and not for the list.
    Verb("slash", "filter", "Filter", show=True, key_display="/", id="filter", priority=True),
    Verb("y", "copy", "Copy", show=True, id="copy"),
    Verb("p", "pause", "Pause", show=True, id="pause"),
    Verb("q", "leave", "Quit", show=True, id="quit"),
    Verb("w", "why", "Why may a user, or not", id="why", cli="explain"),
    Verb("o", "open", "Open in browser", id="open", cli="open"),
    Verb("R", "reload", "Reload the app", id="reload", cli="reload"),
    Verb("ctrl+r", "restart", "Restart the runtime", id="restart", cli="projects restart"),
    Verb("n", "problem(1)", "Next problem: the next bad row, or the next screen with any",
         id="problem"),
    Verb("N", "problem(-1)", "Previous problem", id="problem-back"),
    Verb("T", "warp", "Clock: jump to what is due, or through a week (development)", id="warp",
         cli="clock"),
    Verb("W", "unlock", "Allow changes in production, or not any more", id="unlock"),
    Verb("M", "consent", "Apply the waiting migration", id="migrate", cli="reload"),
    Verb("plus", "zoom", "Zoom: the list in focus takes all the room", key_display="+", id="zoom"),
    Verb("underscore", "unzoom", "Zoom no more (also esc)", key_display="_", id="unzoom"),
    Verb("ctrl+o", "jump", "Jump: a letter on everything one can go to", id="jump"),
    Verb("left_square_bracket,right_square_bracket", "other_list", "The other list of the screen",
         key_display="[ ]", id="turn"),
)  # fmt: skip
BINDINGS: Final[list[Binding]] = [
    *[
        Binding(one.key, f"pane('{one.name}')", one.title, show=False, id=one.pane_id)
        for one in SCREENS
        if one.key
    ],
    *EVERYWHERE[:3],
    Binding("colon", "command_line", "Palette", key_display=":", id="palette"),
    Binding(
        "ctrl+p",
        "command_palette",
        "Palette, all of it by name",
        show=False,
        priority=True,
        id="palette-whole",
    ),
    Binding("question_mark,f1", "help", "Help", key_display="?", id="help"),
    *EVERYWHERE[3:],
    Binding("escape", "back", "Back", show=False, id="back"),
    Binding("ctrl+q", "leave", "Quit", show=False, priority=True, id="quit-now"),
    Binding(
        "ctrl+c",
        "interrupt",
        "Copy what is selected, else quit after a question",
        show=False,
        priority=True,
        id="interrupt",
    ),
]
