"""What an installation consists of, as values, and the ways in which one cannot be made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from pylon.errors import PylonError

#: The name by which menus, icon themes and packages know Pylon.
ID = "io.github.pylon_runtime.Pylon"


class DesktopPath(PylonError):
    """A path has characters that no launcher entry can carry."""

    code = "DESKTOP_PATH"


class DesktopFolder(PylonError):
    """A file of the launcher entry cannot be written."""

    code = "DESKTOP_FOLDER"


class DesktopTaken(PylonError):
    """Something that Pylon did not make stands where the launcher entry belongs."""

    code = "DESKTOP_TAKEN"


class DesktopShortcut(PylonError):
    """Windows did not make the shortcut."""

    code = "DESKTOP_SHORTCUT"


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file to be written."""

    path: PurePath
    content: bytes
    is_program: bool = False


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A file that Windows itself has to make."""

    path: PurePath
    #: The program that makes it, with arguments that hold no value of ours …
    maker: tuple[str, ...]
    #: … and the values, by the environment: nothing of them is read as code.
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Installation:
    """All that makes a launcher entry on one system."""

    files: tuple[PlannedFile, ...]
    shortcut: Shortcut | None = None
    #: Where the icons of the theme lie, whose readers are told that something changed.
    theme: PurePath | None = None
    #: Where the entries of the menu lie, likewise.
    menu: PurePath | None = None


def checked(text: str, what: str = "the path") -> str:
    """Return a path that can stand in a text file on one line; raises DesktopPath otherwise."""
    if any(ord(one) < 0x20 or ord(one) == 0x7F or 0xD800 <= ord(one) < 0xE000 for one in text):
        raise DesktopPath(
            f"{what} {text!r} has control characters, or is no UTF-8",
            hint="Pylon and your data folder must lie in folders with plain names",
        )
    return text
