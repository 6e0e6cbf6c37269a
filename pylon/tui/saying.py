"""Short notices in a corner of the screen: text from data is text there too, never markup (I99)."""

from __future__ import annotations

from typing import Any, Final

from textual.app import App

from pylon.printable import clean_block

#: A notice is read in seconds; the command log has the whole of a command.
_LINE_CHARS: Final = 400


def say(
    app: App[Any], text: str, *, title: str = "", seconds: float = 3.0, is_bad: bool = False
) -> None:
    """Show a notice for some seconds."""
    if not app.is_running:
        return
    shown = "\n".join(_cut(line) for line in text.splitlines())
    app.notify(
        clean_block(shown), title=clean_block(title), markup=False, timeout=seconds,
        severity="error" if is_bad else "information",
    )  # fmt: skip


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]}…"
