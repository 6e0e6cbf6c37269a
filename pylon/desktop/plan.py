"""What belongs on which system, decided from its name, the environment and where Pylon is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from pylon.desktop import entry, mac, windows
from pylon.desktop.files import ID, DesktopFolder, Installation
from pylon.version import __version__


def plan(
    platform: str, environment: Mapping[str, str], home: PurePath, command: Sequence[str],
    script: bytes,
) -> Installation:  # fmt: skip
    """Return what an installation consists of.

    Args:
        platform: as `sys.platform` calls it; what is neither macOS nor Windows follows XDG.
        environment: the process's.
        home: the user's folder.
        command: what runs Pylon, its first word an absolute path.
        script: the text of `launch.sh`.
    """
    if platform == "win32":
        local, roaming = (_windows_folder(environment, one) for one in ("LOCALAPPDATA", "APPDATA"))
        return windows.installation(local, roaming, PureWindowsPath(home), command)
    if platform == "darwin":
        return mac.installation(PurePosixPath(home) / "Applications", command, script, __version__)
    return entry.installation(data_home(environment, home), command, script)


def data_home(environment: Mapping[str, str], home: PurePath) -> PurePosixPath:
    """Return the user's data folder; a relative XDG_DATA_HOME counts for nothing."""
    given = PurePosixPath(environment.get("XDG_DATA_HOME", ""))
    return given if given.is_absolute() else PurePosixPath(home) / ".local" / "share"


def system_entries(environment: Mapping[str, str]) -> list[PurePosixPath]:
    """Return where a package would have put the entry for everybody."""
    folders = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [
        PurePosixPath(one) / "applications" / f"{ID}.desktop"
        for one in folders.split(":")
        if one.startswith("/")
    ]


def _windows_folder(environment: Mapping[str, str], name: str) -> PureWindowsPath:
    given = PureWindowsPath(environment.get(name, ""))
    if not given.is_absolute():
        raise DesktopFolder(f"%{name}% is not set", hint="run it in a shell of a signed-in user")
    return given
