"""One list of a screen with the whole room for itself, and back."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.widget import Widget

from pylon.tui.panes import Pane
from pylon.tui.widgets.line_list import LineList

_AWAY = "zoomed-away"


def zoom(pane: Pane) -> bool:
    """Give what has the focus the room of all other lists; False where there is nothing to gain.

    One-line texts stay: they say how old what is shown is, and what is under way.
    """
    chosen = next(
        (one for one in pane.query(Widget) if one.has_focus and _is_part(one)), pane.list
    )  # fmt: skip
    others = [one for one in pane.query(Widget) if one is not chosen and _takes_room(one, chosen)]
    if chosen is None or not others or pane.zoomed is not None:
        return False
    pane.zoomed = chosen
    for one in others:
        one.add_class(_AWAY)
    chosen.styles.height = "1fr"
    chosen.styles.width = "1fr"
    return True


def unzoom(pane: Pane) -> bool:
    """Show all of a pane again; False where nothing was zoomed."""
    chosen, pane.zoomed = pane.zoomed, None
    if chosen is None:
        return False
    for one in pane.query(f".{_AWAY}"):
        one.remove_class(_AWAY)
    chosen.styles.clear_rule("height")
    chosen.styles.clear_rule("width")
    pane.refresh_from(force=True)
    pane.call_after_refresh(pane.fit)
    return True


def _is_part(one: Widget) -> bool:
    return isinstance(one, LineList | VerticalScroll)


def _takes_room(one: Widget, chosen: Widget | None) -> bool:
    holds = chosen is not None and chosen in one.query(Widget)
    return not holds and one.display and (_is_part(one) or one.size.height > 1) and bool(one.id)
