"""The app of macOS: a folder whose program has the system open a command in the user's terminal.

`open` gives a `.command` to whatever program the user has for these (Terminal, where none was
chosen), so no right to steer other programs is asked for.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pylon.desktop import drawing
from pylon.desktop.files import ID, Installation, PlannedFile, checked

_PROGRAM: Final = """#!/bin/sh
exec /usr/bin/open "${0%/*}/../Resources/Pylon.command"
"""


def shell_word(text: str) -> str:
    """Return a text as one word of a shell."""
    return "'" + checked(text).replace("'", "'\\''") + "'"


def command_text(command: Sequence[str]) -> str:
    """Return what the terminal runs."""
    words = " ".join(shell_word(one) for one in command)
    return f'#!/bin/sh\nexec /bin/sh "${{0%/*}}/launch.sh" --inside {words}\n'


def property_list(version: str) -> bytes:
    """Return the app's Info.plist."""
    return plistlib.dumps({
        "CFBundleIdentifier": ID.replace("_", "-"),
        "CFBundleName": "Pylon",
        "CFBundleDisplayName": "Pylon",
        "CFBundleExecutable": "pylon",
        "CFBundleIconFile": "pylon.icns",
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        # A script has no architecture, and the system would ask for an emulator.
        "LSArchitecturePriority": ["arm64", "x86_64"],
        "LSMinimumSystemVersion": "11.0",
        # It is gone as soon as the terminal is asked: no place in the Dock for that.
        "LSUIElement": True,
    })  # fmt: skip


def installation(
    applications: PurePosixPath, command: Sequence[str], script: bytes, version: str
) -> Installation:
    """Return the files of the app in a folder of apps.

    Args:
        applications: absolute; `~/Applications`.
        command: what runs Pylon, its first word an absolute path.
        script: the text of `launch.sh`.
        version: that of Pylon.
    """
    contents = applications / "Pylon.app" / "Contents"
    resources = contents / "Resources"
    return Installation((
        PlannedFile(resources / "launch.sh", script),
        PlannedFile(resources / "Pylon.command", command_text(command).encode(), is_program=True),
        PlannedFile(resources / "pylon.icns", drawing.icns()),
        PlannedFile(contents / "MacOS" / "pylon", _PROGRAM.encode(), is_program=True),
        PlannedFile(contents / "Info.plist", property_list(version)),
    ))  # fmt: skip
