"""The entry of the applications menu on Linux and its kin: files below one data folder.

The folder is the user's (`~/.local/share`) or a package's (`/usr/share`): the files are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath
from typing import Final

from pylon.desktop import drawing
from pylon.desktop.files import ID, Installation, PlannedFile, checked

_PLAIN: Final = re.compile(r"[A-Za-z0-9_@+:,./-]+")


def exec_argument(text: str) -> str:
    """Return one argument as the Exec key of an entry wants it, before the escapes of its file.

    Quoted wherever the specification may want it; a percent sign begins a field and is doubled.
    """
    checked(text)
    doubled = text.replace("%", "%%")
    if _PLAIN.fullmatch(doubled):
        return doubled
    return '"' + re.sub(r'(["`$\\])', r"\\\1", doubled) + '"'


def value(text: str) -> str:
    """Return a text as the value of a key: backslashes are escaped once more."""
    return text.replace("\\", "\\\\")


def entry_text(script: PurePath, command: Sequence[str]) -> str:
    """Return the entry that has a script open Pylon in a terminal.

    It asks for no terminal itself (`Terminal=false`): what menus take for one is fixed in their
    code, and few ask the user. The script asks, and keeps what a failing start said readable.
    """
    line = " ".join(exec_argument(one) for one in ("/bin/sh", str(script), *command))
    return "\n".join((
        "[Desktop Entry]",
        "Type=Application",
        "Name=Pylon",
        "GenericName=Projects in a terminal",
        "Comment=Your projects: start, stop and look into them",
        f"Exec={value(line)}",
        f"Icon={ID}",
        "Terminal=false",
        "StartupNotify=false",
        "Categories=Development;Database;",
        "Keywords=sqlite;realtime;dashboard;server;api;",
        "",
    ))  # fmt: skip


def installation(data_home: PurePosixPath, command: Sequence[str], script: bytes) -> Installation:
    """Return the files of the entry below a data folder.

    Args:
        data_home: absolute; `$XDG_DATA_HOME`, or `/usr/share` for a package.
        command: what runs Pylon, its first word an absolute path.
        script: the text of `launch.sh`.
    """
    launcher = data_home / "pylon" / "launch.sh"
    theme = data_home / "icons" / "hicolor"
    menu = data_home / "applications"
    pictures = (
        PlannedFile(theme / f"{size}x{size}" / "apps" / f"{ID}.png", drawing.png(size))
        for size in drawing.PNG_SIZES
    )
    files = (
        PlannedFile(launcher, script),
        PlannedFile(theme / "scalable" / "apps" / f"{ID}.svg", drawing.svg()),
        *pictures,
        PlannedFile(menu / f"{ID}.desktop", entry_text(launcher, command).encode()),
    )
    return Installation(files, theme=theme, menu=menu)
