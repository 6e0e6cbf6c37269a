"""What jump mode puts letters on: the screens of the strip, and the parts of the screen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.geometry import Offset

from pylon.tui.screens.jump import Target
from pylon.tui.strip import ScreenStrip

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard


def targets_of(app: Dashboard) -> list[Target]:
    """Return the parts of the screen first, then the other screens that are in sight."""
    parts = [one for one in app.pane.query("*") if one.can_focus and one.display and one.size]
    found = [Target(one.region.offset, one.focus) for one in parts]
    strip = app.query_one(ScreenStrip)
    top = strip.region
    return found + [
        Target(Offset(at, top.y), partial(app.action_pane, name))
        for name, at in strip.places()
        if name != app.pane.id and at < top.width
    ]
