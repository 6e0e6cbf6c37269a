"""The launcher entry for real: from a menu's click to the list of projects on an X screen.

The terminal is xterm, which prints what stands on it when it is told to; the picture is of the X
server's pixels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image, ImageGrab, features

from pylon.clock import SystemClock
from pylon.desktop.files import ID
from pylon.supervisor import registry
from tests.kept import until

_MISSING = [name for name in ("Xvfb", "xterm", "xdotool", "gio") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}"),
    pytest.mark.skipif(not features.check("xcb"), reason="this Pillow takes no pictures of X"),
    pytest.mark.timeout(240),
]
_RESOURCES = """XTerm.vt100.translations: #override <Key>F12: print(noFormFeed, noNewLine)
XTerm.vt100.printerCommand: {0}
*printAttributes: 0
"""


class Screen:
    """An X server without a monitor, and what may be seen and typed there."""

    def __init__(self, folder: Path, home: Path) -> None:
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x480x24", "-nolisten", "tcp"],
            pass_fds=(writing,), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as said:
            self._display = f":{said.readline().strip()}"
        self._printed = folder / "printed"
        printer = folder / "printer"
        printer.write_text(f"#!/bin/sh\ncat > '{self._printed}.new'\n"
                           f"mv '{self._printed}.new' '{self._printed}'\n")  # fmt: skip
        printer.chmod(0o755)
        (folder / "resources").write_text(_RESOURCES.format(printer))
        self.home = home
        self.state = folder / "state"
        #: What a session hands to what its menu starts: no folder of Pylon is on the PATH.
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "DISPLAY": self._display,
            "HOME": str(home), "PYLON_STATE_DIR": str(self.state),
            "XENVIRONMENT": str(folder / "resources"), "TERMINAL": "xterm -geometry 100x30+0+0",
        }  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a program of this screen's user that ends; returns what it printed."""
        # What it leaves running would keep a pipe open: it gets a file.
        with (self.state.parent / "said").open("w+") as said:
            subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, timeout=60, check=False, cwd="/",
            )  # fmt: skip
            said.seek(0)
            return said.read()

    def click(self) -> None:
        """Start the entry as a menu does."""
        entry = self.home / ".local/share/applications" / f"{ID}.desktop"
        self.run("gio", "launch", str(entry))

    def windows(self) -> list[str]:
        """Return the windows that carry Pylon's title."""
        return self.run("xdotool", "search", "--onlyvisible", "--name", "^Pylon$").split()

    def press(self, key: str) -> None:
        """Press a key in the window under the pointer."""
        self.run("xdotool", "mousemove", "200", "200", "key", key)

    def text(self) -> str:
        """Return what stands on the terminal; nothing where it does not hear yet."""
        self._printed.unlink(missing_ok=True)
        self.press("F12")
        with suppress(AssertionError):
            until(self._printed.exists, 1)
        return self._printed.read_text("utf-8", "replace") if self._printed.exists() else ""

    def until(self, holds: Callable[[str], bool]) -> str:
        """Return the terminal's text as soon as it shows what is asked for."""
        until(lambda: self.windows() != [])
        seen = ""

        def is_so() -> bool:
            nonlocal seen
            seen = self.text()
            return holds(seen)

        until(is_so)
        return seen

    def picture(self) -> Image.Image:
        """Return what the screen shows."""
        return ImageGrab.grab(xdisplay=self._display).convert("RGB")

    def close(self) -> None:
        """End the server; its programs lose their connection, and end."""
        self._server.terminate()
        self._server.wait(timeout=20)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    """A screen whose user has a folder with a name that quoting has to stand."""
    home = tmp_path / 'ho me "\u00fc" $HOME `x` 100% it\'s'
    home.mkdir()
    one = Screen(tmp_path, home)
    yield one
    one.close()


def test_a_click_in_the_menu_opens_the_shelf_in_a_terminal(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of projects stands there, in colour, takes keys, and its window goes with it.

    With Pylon gone from where it was the window says so, and stays until enter is pressed.
    """
    monkeypatch.setenv("PYLON_STATE_DIR", str(screen.state))
    project = screen.home.parent / "lighthouse"
    project.mkdir()
    (project / "app.py").write_text("")
    registry.remember_project(project, SystemClock().now_ms())
    pylon = screen.home / "bin" / "pylon"
    pylon.parent.mkdir()
    pylon.symlink_to(Path(sys.executable).with_name("pylon"))
    said = screen.run(str(pylon), "desktop", "install")
    assert f"it opens {pylon}" in said

    screen.click()
    text = screen.until(lambda text: "lighthouse" in text)
    assert "your projects" in text
    assert "stopped" in text
    picture = screen.picture()
    picture.save(screen.home.parent / "shelf.png")
    colours = picture.getcolors(picture.width * picture.height)
    assert colours is not None
    assert len(colours) > 4  # a terminal without the shelf has two
    screen.press("q")
    until(lambda: screen.windows() == [])

    pylon.unlink()
    screen.click()
    text = screen.until(lambda text: "press enter to close" in text)
    assert "there is no Pylon at" in text
    screen.press("Return")
    until(lambda: screen.windows() == [])
