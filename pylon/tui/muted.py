"""Text that steps back: between the foreground and the background of a widget, in any theme.

A colour with alpha or `auto` is resolved where widgets are composed, and not in segments: there
it would be as bright as the rest, or brighter.
"""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget

#: How much of the foreground is left.
SHARE = 0.7


def muted_style(widget: Widget) -> Style:
    """Return the style of text that steps back on a widget."""
    _, _, background, foreground = widget.colors
    return Style(color=background.blend(foreground, SHARE, alpha=1.0).rich_color)
