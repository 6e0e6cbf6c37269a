"""The screen of a Textual app as lines of text, so that tests read what a person reads."""

from __future__ import annotations

from textual.app import App


def grid(app: App[object]) -> list[str]:
    """Return the lines of the screen on top, each as wide as the terminal."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def shown(app: App[object]) -> str:
    """Return the screen as one text."""
    return "\n".join(line.rstrip() for line in grid(app))
