"""Short notices in the line of keys: text from data is text there too, never markup (I99)."""

from __future__ import annotations

from textwrap import wrap
from typing import Any, Final

from textual.app import App
from textual.geometry import Size

from pylon.printable import clean_block

#: Where the library puts notices, by its id.
NOTICES: Final = "textual-toastrack"
#: They are as wide as what they say. Where there is a line of keys they take its place, and what
#: they need beyond that is taken from what stands above, so that no row lies under them.
NOTICES_CSS: Final = """
    Toast { width: auto; max-width: 100%; margin: 0; padding: 0 1; }
    Toast:ansi { background: ansi_default; }
    ToastRack { margin-bottom: 0; }
    ToastRack.in-keys-line { layer: default; }
"""
#: A notice is read in seconds; the command log has the whole of a command.
_LINE_CHARS: Final = 400
#: Cells of a notice beside its text, and one for the mark where it is cut.
_SIDES: Final = 4
#: What is wrong begins with it.
_BAD: Final = "✗"


def say(
    app: App[Any], text: str, *, title: str = "", seconds: float = 3.0, is_bad: bool = False
) -> None:
    """Show a notice for some seconds."""
    if not app.is_running:
        return
    shown = _fitted("\n".join(_cut(line) for line in text.splitlines()), app.size)
    if is_bad and not (title or text).startswith(_BAD):  # not by its colour alone
        title, shown = (f"{_BAD} {title}", shown) if title else ("", f"{_BAD} {shown}")
    app.notify(
        clean_block(shown), title=clean_block(title), markup=False, timeout=seconds,
        severity="error" if is_bad else "information",
    )  # fmt: skip


def _fitted(text: str, size: Size) -> str:
    """Return as much of a text as half of a terminal has room for."""
    width, most = max(1, size.width - _SIDES), max(1, size.height // 2)
    lines = [part for line in text.splitlines() for part in wrap(line, width) or [""]]
    return text if len(lines) <= most else "\n".join([*lines[: most - 1], f"{lines[most - 1]}…"])


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]}…"
