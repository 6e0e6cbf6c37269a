"""Shortcut and profile of Windows, as far as another system can look at them."""

from __future__ import annotations

import base64
from pathlib import PureWindowsPath

from hypothesis import example, given
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.desktop.windows import argument, installation

_ADA = PureWindowsPath("C:\\Users\\Ada O'L")
_PYLON = "C:\\Users\\Ada O'L\\$env `x` & 100%\\Scripts\\pylon.exe"


def _split(line: str) -> list[str]:
    """Read a command line as programs of Windows do (CommandLineToArgvW)."""
    found: list[str] = []
    at = 0
    while at < len(line):
        word, is_quoted = "", False
        while at < len(line) and (is_quoted or line[at] not in " \t"):
            slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
            at += slashes
            if at < len(line) and line[at] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                else:
                    is_quoted = not is_quoted
                at += 1
            elif slashes:
                word += "\\" * slashes
            else:
                word += line[at]
                at += 1
        found.append(word)
        at += 1
    return found


@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)))
@example(["C:\\a b\\", 'x"y', '\\"', "\\\\", "a\\\\b c\\\\"])
def test_arguments_come_back_as_they_were(arguments: list[str]) -> None:
    """Spaces, quotes and backslashes before them."""
    assert _split(" ".join(argument(one) for one in arguments)) == arguments


def _planned() -> object:
    return installation(_ADA / "AppData/Local", _ADA / "AppData/Roaming", _ADA, (_PYLON,))


def test_the_profile_is_where_the_terminal_looks_and_parses() -> None:
    """A fragment with one profile, whose command is Pylon and which stays after a failure."""
    icon, fragment = _planned().files  # type: ignore[attr-defined]
    assert fragment.path == PureWindowsPath(
        _ADA, "AppData/Local/Microsoft/Windows Terminal/Fragments/Pylon/pylon.json"
    )
    (profile,) = jsonvalue.parse(fragment.content)["profiles"]  # type: ignore[call-overload, index]
    assert _split(profile["commandline"]) == [_PYLON, "desktop", "open", "--hold"]
    assert (profile["name"], profile["closeOnExit"]) == ("Pylon", "graceful")
    assert profile["icon"] == str(icon.path)
    assert icon.content.startswith(b"\0\0\1\0")


def test_no_value_is_part_of_the_code_that_makes_the_shortcut() -> None:
    """PowerShell gets a constant script; paths come by the environment."""
    shortcut = _planned().shortcut  # type: ignore[attr-defined]
    code = base64.b64decode(shortcut.maker[-1]).decode("utf-16-le")
    assert "Ada" not in code + " ".join(shortcut.maker)
    values = dict(shortcut.values)
    assert all(f"$env:{name}" in code for name in values)
    assert values["PYLON_TARGET"] == _PYLON
    assert values["PYLON_ARGUMENTS"] == "desktop open --hold"
    assert str(shortcut.path).endswith("\\Start Menu\\Programs\\Pylon.lnk")
    assert values["PYLON_LINK"] == str(shortcut.path)
