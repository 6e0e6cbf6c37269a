"""A text in the user's pager, where it can be searched, selected with the mouse and saved.

It is what is left where a terminal lets nothing into the clipboard.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from typing import Any, Final

from textual.app import App, SuspendNotSupported

from pylon.printable import clean_block
from pylon.tui.lending import lend
from pylon.tui.saying import say
from pylon.tui.working import begin

#: What is tried where PAGER names none.
_USUAL: Final = ("less", "more")


class NoPager(Exception):
    """There is no pager here, or the screens can't stand aside; says what to do."""


def pager_command(
    environment: Mapping[str, str], find: Callable[[str], str | None] = shutil.which
) -> list[str]:
    """Return the command that shows what comes on its stdin; raises NoPager where nothing can."""
    named = environment.get("PAGER") or ""
    try:
        words = shlex.split(named)
    except ValueError:
        raise NoPager(f"PAGER is no command: {named!r}") from None
    words = words or [one for one in _USUAL if find(one)][:1]
    if not words:
        raise NoPager("no pager is known: set PAGER, such as PAGER=less")
    return words


def page(app: App[Any], text: str) -> None:
    """Show a text in the pager, beside the loop; says why where that can't be done.

    It gets what the screen would show of the text: no pager is trusted with what steers a terminal.
    """

    async def work() -> None:
        try:
            await _shown(app, clean_block(text), pager_command(os.environ))
        except NoPager as error:
            say(app, str(error), is_bad=True)

    begin(app, work, name="pager", group="pager")


async def _shown(app: App[Any], text: str, command: list[str]) -> None:
    try:
        await lend(app, command, f"{text.rstrip()}\n".encode())
    except SuspendNotSupported:
        raise NoPager("no pager can be opened here") from None
    except OSError as error:
        raise NoPager(f"{command[0]}: {error.strerror}; PAGER names another") from None
