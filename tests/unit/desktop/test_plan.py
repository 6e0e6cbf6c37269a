"""Where what belongs, on which system."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from pylon.desktop.files import DesktopFolder
from pylon.desktop.plan import data_home, plan, system_entries

_HOME = PurePosixPath("/home/ada")
_PYLON = ("/home/ada/.local/bin/pylon",)


def _paths(platform: str, environment: dict[str, str]) -> list[str]:
    home = PureWindowsPath("C:\\Users\\ada") if platform == "win32" else _HOME
    planned = plan(platform, environment, home, _PYLON, b"")
    return [str(one.path) for one in planned.files]


@pytest.mark.parametrize("platform", ["linux", "freebsd14"])
def test_linux_and_its_kin_follow_the_data_home(platform: str) -> None:
    """`$XDG_DATA_HOME`, where it is absolute."""
    assert all(one.startswith("/home/ada/.local/share/") for one in _paths(platform, {}))
    given = _paths(platform, {"XDG_DATA_HOME": "/data"})
    assert all(one.startswith("/data/") for one in given)
    assert data_home({"XDG_DATA_HOME": "rel"}, _HOME) == _HOME / ".local/share"


def test_other_systems_have_their_own_places() -> None:
    """An app in the user's Applications; below the folders that Windows names."""
    assert all(one.startswith("/home/ada/Applications/Pylon.app/") for one in _paths("darwin", {}))
    folders = {"LOCALAPPDATA": "C:\\l", "APPDATA": "C:\\r"}
    assert all(one.startswith("C:\\l\\") for one in _paths("win32", folders))
    with pytest.raises(DesktopFolder):
        _paths("win32", {"APPDATA": "C:\\r"})


def test_packages_have_theirs() -> None:
    """What the system's entry would be called, in the order of `$XDG_DATA_DIRS`."""
    found = system_entries({"XDG_DATA_DIRS": "/a:rel:/b"})
    assert [one.parent.parent.name for one in found] == ["a", "b"]
    assert str(system_entries({})[1]).startswith("/usr/share/applications/")
