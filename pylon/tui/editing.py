"""A file opened in the user's editor, at a line; the screens stand aside meanwhile."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Final

from textual.app import App, SuspendNotSupported

from pylon.tui.lending import lend

#: What is tried where neither VISUAL nor EDITOR names one.
_USUAL: Final = ("nano", "vi", "vim")
#: How editors are told a line: by a word before the file, or behind its name.
_PLUS: Final = frozenset(
    {"vi", "vim", "nvim", "gvim", "nano", "pico", "emacs", "emacsclient", "micro", "kak", "joe",
     "ne", "mg", "ex", "view"}
)  # fmt: skip
_GOTO: Final = frozenset({"code", "code-insiders", "codium", "cursor", "windsurf"})
_COLON: Final = frozenset({"hx", "helix", "subl", "zed", "lite-xl"})
#: What has an editor that opens a window wait until the file is closed there.
_WAITS: Final = {
    **{one: ["--wait"] for one in (*_GOTO, "subl", "zed")}, "gvim": ["-f"], "kate": ["--block"],
    "gedit": ["--wait"],
}  # fmt: skip


class NoEditor(Exception):
    """There is no editor here, or the screens can't stand aside; says what to do."""


def editor_command(
    path: Path, line: int | None, environment: Mapping[str, str],
    find: Callable[[str], str | None] = shutil.which,
) -> list[str]:  # fmt: skip
    """Return the command that opens a file at a line; raises NoEditor where nothing can.

    Args:
        path: the file; it need not be there yet.
        line: from 1; None for no line.
        environment: its VISUAL, then its EDITOR, names the editor.
        find: tells where a program is, or None.
    """
    named = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        words = shlex.split(named)
    except ValueError:
        raise NoEditor(f"EDITOR is no command: {named!r}") from None
    if not words:
        words = [one for one in _USUAL if find(one)][:1]
    if not words:
        raise NoEditor("no editor is known: set EDITOR, such as EDITOR=nano")
    name = PurePath(words[0]).stem.lower()
    if line is None:
        return [*words, str(path)]
    if name in _PLUS:
        return [*words, f"+{line}", str(path)]
    if name in _GOTO:
        return [*words, "--goto", f"{path}:{line}"]
    if name in _COLON:
        return [*words, f"{path}:{line}"]
    return [*words, str(path)]  # one that nobody here knows: at least the file


async def edit(
    app: App[int], path: Path, line: int | None, environment: Mapping[str, str], *,
    is_awaited: bool = False,
) -> None:  # fmt: skip
    """Open a file in the user's editor, and return when it ends; raises NoEditor.

    One with a window of its own is told to end no sooner than the file is closed, where that
    `is_awaited`.
    """
    command = editor_command(path, line, environment)
    if is_awaited:
        command[1:1] = _WAITS.get(PurePath(command[0]).stem.lower(), [])
    try:
        code = await lend(app, command)
    except SuspendNotSupported:
        where = path if line is None else f"{path}:{line}"
        raise NoEditor(f"no editor can be opened here: {where}") from None
    except OSError as error:
        raise NoEditor(f"{command[0]}: {error.strerror}; EDITOR names another") from None
    if code:
        raise NoEditor(f"{command[0]} ended with {code}")
