"""Windows: a shortcut of the Start menu, and a profile of Windows Terminal.

The shortcut leads to Pylon itself, a console program: Windows opens it in the terminal that the
user has chosen. Its file is made by Windows (through PowerShell), values given by the environment.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Final

from pylon import jsonvalue
from pylon.desktop import drawing
from pylon.desktop.files import Installation, PlannedFile, Shortcut, checked

#: What the shortcut and the profile hand to Pylon: a window that closes shows no message.
_OPEN: Final = ("desktop", "open", "--hold")
_MAKE: Final = """$ErrorActionPreference = 'Stop'
$link = (New-Object -ComObject WScript.Shell).CreateShortcut($env:PYLON_LINK)
$link.TargetPath = $env:PYLON_TARGET
$link.Arguments = $env:PYLON_ARGUMENTS
$link.WorkingDirectory = $env:PYLON_FOLDER
$link.IconLocation = $env:PYLON_ICON
$link.Description = 'Your projects, in a terminal'
$link.Save()
"""


def argument(text: str) -> str:
    """Return one argument as programs of Windows read their command line."""
    checked(text)
    if text and not any(one in text for one in ' \t"'):
        return text
    quoted = ""
    slashes = 0
    for one in text:
        if one == '"':
            quoted += "\\" * (slashes + 1)  # those before a quote count twice
        slashes = slashes + 1 if one == "\\" else 0
        quoted += one
    return f'"{quoted}{chr(92) * slashes}"'


def profile(command: Sequence[str], icon: PureWindowsPath) -> bytes:
    """Return the fragment that Windows Terminal adds to its profiles."""
    line = " ".join(argument(one) for one in (*command, *_OPEN))
    return jsonvalue.encode({
        "profiles": [
            {
                "name": "Pylon",
                "commandline": line,
                "startingDirectory": "%USERPROFILE%",
                "icon": str(icon),
                "closeOnExit": "graceful",
            }
        ]
    })  # fmt: skip


def installation(
    local: PureWindowsPath, roaming: PureWindowsPath, home: PureWindowsPath,
    command: Sequence[str],
) -> Installation:  # fmt: skip
    """Return the files of shortcut, icon and profile.

    Args:
        local: `%LOCALAPPDATA%`.
        roaming: `%APPDATA%`.
        home: `%USERPROFILE%`, where it opens.
        command: what runs Pylon, its first word an absolute path.
    """
    icon = local / "Pylon" / "pylon.ico"
    fragment = local / "Microsoft" / "Windows Terminal" / "Fragments" / "Pylon" / "pylon.json"
    link = roaming / "Microsoft" / "Windows" / "Start Menu" / "Programs" / "Pylon.lnk"
    code = base64.b64encode(_MAKE.encode("utf-16-le")).decode()
    shortcut = Shortcut(
        link,
        ("powershell.exe", "-NoProfile", "-NonInteractive", "-EncodedCommand", code),
        (
            ("PYLON_LINK", str(link)),
            ("PYLON_TARGET", checked(command[0])),
            ("PYLON_ARGUMENTS", " ".join(argument(one) for one in (*command[1:], *_OPEN))),
            ("PYLON_FOLDER", str(home)),
            ("PYLON_ICON", f"{icon},0"),
        ),
    )
    files = (PlannedFile(icon, drawing.ico()), PlannedFile(fragment, profile(command, icon)))
    return Installation(files, shortcut)
