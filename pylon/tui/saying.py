"""Short notices in a corner of the screen: text from data is text there too, never markup (I99)."""

from __future__ import annotations

from typing import Any

from textual.app import App

from pylon.printable import clean_block


def say(
    app: App[Any], text: str, *, title: str = "", seconds: float = 3.0, is_bad: bool = False
) -> None:
    """Show a notice for some seconds."""
    if not app.is_running:
        return
    app.notify(
        clean_block(text), title=clean_block(title), markup=False, timeout=seconds,
        severity="error" if is_bad else "information",
    )  # fmt: skip
