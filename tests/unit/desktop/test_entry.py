"""The entry of the applications menu: its text, and paths of every kind in it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pylon.desktop.entry import entry_text, exec_argument, installation, value
from pylon.desktop.files import ID

_PATHS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).map(
    "/".__add__
)
HOSTILE = (
    "/home/ada l/pylon", '/a"b', "/a`id`b", "/a$(id)$HOME", "/a\\b\\\\", "/100%/%f%U%%", "/a'b",
    "/a;touch x", "/a|b&c>d<e", "/*?[]~#", "/ü 日本 😀", "/a=b", "/--flag", "/trailing ",
    "/\\s\\n\\t",
)  # fmt: skip


def _arguments(line: str) -> list[str]:
    """Read the value of an Exec key as the Desktop Entry Specification says."""
    text = line.replace("\\\\", "\\")
    found: list[str] = []
    at = 0
    while at < len(text):
        word = ""
        if text[at] == '"':
            at += 1
            while text[at] != '"':
                at += text[at] == "\\"
                word += text[at]
                at += 1
            at += 1
        else:
            while at < len(text) and text[at] != " ":
                assert text[at] not in "\"'\\><~|&;$*?#()`", "reserved, and not quoted"
                word += text[at]
                at += 1
        assert word.replace("%%", "").count("%") == 0, "a field of the launcher"
        found.append(word.replace("%%", "%"))
        at += 1
    return found


@given(st.lists(_PATHS, min_size=1, max_size=4))
@example(list(HOSTILE))
def test_arguments_come_back_as_they_were(paths: list[str]) -> None:
    """Whatever a path holds, it is one argument, and nothing in it is a field or a variable."""
    line = value(" ".join(exec_argument(one) for one in paths))
    assert "\n" not in line
    assert _arguments(line) == paths


@pytest.mark.skipif(shutil.which("gio") is None, reason="not installed: gio")
def test_a_menu_hands_them_over_as_they_were(tmp_path: Path) -> None:
    """GLib, which GNOME, XFCE and others launch with, starts the script with these arguments."""
    said = tmp_path / "said"
    script = tmp_path / 'a $b"%.sh'
    script.write_text(f"printf '%s\\n' \"$@\" > '{said}.new'; mv '{said}.new' '{said}'\n")
    entry = tmp_path / "x.desktop"
    entry.write_text(entry_text(script, HOSTILE))
    subprocess.run(["gio", "launch", str(entry)], check=True, timeout=30)
    end = time.monotonic() + 30
    while not said.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert said.read_text().splitlines() == list(HOSTILE)


@pytest.mark.skipif(
    shutil.which("desktop-file-validate") is None, reason="not installed: desktop-file-validate"
)
def test_the_entry_is_valid(tmp_path: Path) -> None:
    """By the validator of those who wrote the specification, also with hostile paths."""
    for number, command in enumerate((("/usr/bin/pylon",), HOSTILE)):
        entry = tmp_path / f"{number}.desktop"
        entry.write_text(entry_text(PurePosixPath("/usr/share/pylon/launch.sh"), command))
        done = subprocess.run(
            ["desktop-file-validate", entry], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "")


def test_a_package_ships_the_same_files() -> None:
    """Below /usr/share: menu, icon in the theme of all, script."""
    found = installation(PurePosixPath("/usr/share"), ("/usr/bin/pylon",), b"#!/bin/sh\n")
    files = {str(one.path): one.content for one in found.files}
    assert set(files) == {
        f"/usr/share/applications/{ID}.desktop", "/usr/share/pylon/launch.sh",
        f"/usr/share/icons/hicolor/scalable/apps/{ID}.svg",
        f"/usr/share/icons/hicolor/48x48/apps/{ID}.png",
        f"/usr/share/icons/hicolor/128x128/apps/{ID}.png",
    }  # fmt: skip
    entry = files[f"/usr/share/applications/{ID}.desktop"].decode().splitlines()
    assert "Exec=/bin/sh /usr/share/pylon/launch.sh /usr/bin/pylon" in entry
    assert "Terminal=false" in entry
    assert f"Icon={ID}" in entry
