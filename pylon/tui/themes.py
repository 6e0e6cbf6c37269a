"""The looks of the dashboard: dark, light, high contrast; a test holds the contrast of texts."""

from __future__ import annotations

from typing import Any, Final

from textual.app import App
from textual.theme import Theme


def _bars(track: str, thumb: str, held: str) -> dict[str, str]:
    """Return the colours of the bars that scroll: the track is the paper that it stands on."""
    return {
        "scrollbar-background": track, "scrollbar-background-hover": track,
        "scrollbar-background-active": track, "scrollbar-corner-color": track,
        "scrollbar": thumb, "scrollbar-hover": held, "scrollbar-active": held,
    }  # fmt: skip


THEMES: Final = (
    Theme(
        name="pylon-dark", primary="#33629F", secondary="#4FA3A5", accent="#E0A458",
        warning="#E6C04B", error="#F2777A", success="#7FC97F", foreground="#E4E6EB",
        background="#14171C", surface="#1A1E25", panel="#252B35", dark=True,
        variables={"text-muted": "#A9AEB8", **_bars("#1A1E25", "#46566E", "#6C83A6")},
    ),
    Theme(
        name="pylon-light", primary="#7FA9E0", secondary="#2B7A78", accent="#8A4B08",
        warning="#7A5200", error="#A8132A", success="#1B6E2E", foreground="#14171C",
        background="#FFFFFF", surface="#F7F8FA", panel="#E4E8EE", dark=False,
        variables={"text-muted": "#4A5160", **_bars("#F7F8FA", "#A9B4C4", "#7C8BA1")},
    ),
    Theme(
        name="pylon-high-contrast", primary="#0047AB", secondary="#00FFFF", accent="#FFD700",
        warning="#FFFF00", error="#FF9C9C", success="#7CFF7C", foreground="#FFFFFF",
        background="#000000", surface="#000000", panel="#1A1A1A", dark=True,
        variables={
            "text-muted": "#D8D8D8", "block-cursor-foreground": "#FFFFFF",
            **_bars("#000000", "#A0A0A0", "#FFFFFF"),
        },
    ),
)  # fmt: skip
#: Texts to which the library gives the colour of a border, or too little of one.
LOOKS_CSS: Final = """
    .box { border-title-color: $foreground; border-subtitle-color: $foreground; }
    Input > .input--placeholder { color: $text-muted; }
"""
#: The colours of the terminal itself, whatever they are.
ANSI: Final = ("ansi-dark", "ansi-light")
#: What the palette offers by name, the first one where nothing was chosen.
OFFERED: Final = (*(one.name for one in THEMES), *ANSI)


def have_themes(app: App[Any]) -> None:
    """Have an app know the themes, and begin with the first."""
    for one in THEMES:
        app.register_theme(one)
    app.theme = OFFERED[0]
