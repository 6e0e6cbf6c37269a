"""A text that is too long for a line of a form: it is said how long, and the user's editor has it.

A field of a hundred thousand characters takes a second for each key that is typed into it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widgets import Static

from pylon.printable import clean
from pylon.tui.editing import NoEditor, edit
from pylon.tui.saying import say
from pylon.tui.working import begin

#: What is longer is not edited in the form itself.
FORM_TEXT_CHARS: Final = 10_000
_SHOWN_CHARS: Final = 200


class LongText(Static, can_focus=True):
    """Stands where the field would; `text` is what it holds."""

    DEFAULT_CSS = """
    LongText { height: 2; background: $panel; text-wrap: nowrap; text-overflow: ellipsis; }
    LongText:focus { background: $primary 30%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "Open in your editor", id="form.editor"),
    ]

    def __init__(self, text: str, *, id: str) -> None:
        """Hold a text."""
        super().__init__(id=id, markup=False)
        self.text = text

    def on_mount(self) -> None:
        """Say what there is."""
        self._tell()

    def _tell(self) -> None:
        begins = clean(self.text[:_SHOWN_CHARS])
        self.update(f"{begins}\n{len(self.text):,} characters: enter opens your editor")

    def action_edit(self) -> None:
        """Open the text in the user's editor, and take what comes back."""
        begin(self.app, self._edit, name="editor", group="editor")

    async def _edit(self) -> None:
        path = Path(tempfile.gettempdir()) / f"pylon-{secrets.token_hex(8)}.txt"
        try:
            await asyncio.to_thread(_write, path, self.text)
            await edit(self.app, path, None, os.environ, is_awaited=True)
            text = await asyncio.to_thread(_read, path, self.text)
            if text == self.text:
                say(self.app, "nothing was changed; does your editor wait until it is closed?")
            self.text = text
            self._tell()
        except NoEditor as error:
            say(self.app, str(error), is_bad=True)
        except (OSError, UnicodeDecodeError) as error:
            say(self.app, f"the text stays as it was: {error}", is_bad=True)
        finally:
            with suppress(OSError):
                path.unlink()


def _write(path: Path, text: str) -> None:
    """Write a text to a new file, for its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)


def _read(path: Path, before: str) -> str:
    """Return what an editor left; the newline that most put behind the last line is not meant."""
    text = path.read_bytes().decode()
    return text.removesuffix("\n") if not before.endswith("\n") else text
