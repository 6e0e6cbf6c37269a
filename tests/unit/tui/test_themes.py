"""Colours of texts stand out from what lies under them, as WCAG 2.2 measures contrast."""

from __future__ import annotations

from typing import Final

import pytest
from textual.color import Color
from textual.theme import Theme

from pylon.tui.muted import SHARE
from pylon.tui.themes import THEMES

TEXTS: Final = (
    "foreground", "text-success", "text-error", "text-warning", "text-accent", "text-muted",
)  # fmt: skip
#: What stands on the line of the cursor; what steps back elsewhere is plain there.
ON_CURSOR: Final = TEXTS[:-1]


def luminance(color: Color) -> float:
    """Return the relative luminance of WCAG."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (color.r / 255, color.g / 255, color.b / 255)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda one: one.name)
def test_texts_stand_out(theme: Theme) -> None:
    """At least 4.5 to 1, and 7 to 1 in high contrast, also under the cursor."""
    least = 7.0 if "high-contrast" in theme.name else 4.5
    found = {
        name: Color.parse(value)
        for name, value in theme.to_color_system().generate().items()
        if name in (*TEXTS, "surface", "panel", "background", "primary")
    }
    surface = found["surface"]
    cursor = [surface.blend(found["primary"], share, alpha=1.0) for share in (0.3, 0.6)]
    pairs = [
        (text, place, contrast(found[text], found[place]))
        for text in TEXTS
        for place in ("surface", "panel", "background")
    ]
    pairs += [
        ("stepping back", place, contrast(
            found[place].blend(found["foreground"], SHARE, alpha=1.0), found[place]
        ))
        for place in ("surface", "panel", "background")
    ]  # fmt: skip
    pairs += [
        (text, f"cursor {at}", contrast(found[text], below))
        for text in ON_CURSOR
        for at, below in enumerate(cursor)
    ]
    assert [one for one in pairs if one[2] < least] == []
