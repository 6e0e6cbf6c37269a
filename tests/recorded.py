"""A program in a pseudo-terminal with every byte that it writes, and what these bytes ask for."""

from __future__ import annotations

import codecs
import re
import time
import unicodedata
from base64 import b64decode
from contextlib import suppress
from typing import Any, Final

import pexpect
import pyte

from pylon.printable import STEERING
from tests.screens.test_terminal import Terminal

#: Runs a program on the terminal as a person's shell does, and says what it ended with; how the
#: terminal is set afterwards and before stands in the two files whose names come first.
SHELL: Final = (
    'stty -g > "$1"; shift; "$@"; code=$?; stty -g > "$0"; echo "ended with $code"; read line'
)
#: A sequence that steers, whole: CSI; OSC, DCS, APC, PM and SOS; two characters; one.
_TOKEN: Final = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]P_^X](?:[^\x07\x1b]|\x1b(?!\\\\))*(?:\x07|\x1b\\\\)"
    "|\x1b(?:.|$)|[" + "".join(map(re.escape, map(chr, sorted(STEERING)))) + "]",
    re.DOTALL,
)
#: What the library that draws writes by itself: styles, places, modes it asks for, sets and takes
#: back, the shape of the mouse pointer, the ends of lines.
_ITS_OWN: Final = re.compile(
    "\x1b\\[[0-9;:]*m|\x1b\\[[0-9]+;[0-9]+H|\x1b\\[\\?(?:7|25|1000|1003|1004|1006|1015|1049|2004"
    "|2026|2048)[hl]|\x1b\\[\\?20(?:26|48)\\$p|\x1b\\[>[0-9]+u|\x1b\\[<u|\x1b\\]22;[a-z-]+\x07|[\r\n]"
)
_COPIED: Final = re.compile("\x1b\\]52;c;([A-Za-z0-9+/=]*)\x07")
_NO_WIDTH: Final = ("Mn", "Me", "Cf")


class Recorded(Terminal):
    """A terminal that keeps what comes; its screen shows what has a width."""

    def __init__(self, *arguments: str, **given: Any) -> None:
        super().__init__(*arguments, **given)
        self.raw = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._drawing = pyte.Stream(self.screen)
        #: Whether what comes is drawn: an emulator in Python is slower than what it emulates.
        self.is_drawn = True

    def text(self) -> str:
        """Return what is on the screen now."""
        while self._took_some(0.05):
            pass
        return "\n".join(
            "".join(self.screen.buffer[line][at].data for at in range(self.screen.columns))
            for line in range(self.screen.lines)
        )

    def _took_some(self, seconds: float) -> bool:
        try:
            data = self.child.read_nonblocking(65_536, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.raw += data
        shown = self._decoder.decode(data)
        if not self.is_drawn:
            return True
        # The emulator stops at what has no width.
        self._drawing.feed(
            "".join(one for one in shown if unicodedata.category(one) not in _NO_WIDTH)
        )
        return True

    def resize(self, columns: int, lines: int) -> None:
        """Change the size as a window does, by the kernel's signal; nothing of before is left."""
        self.child.setwinsize(lines, columns)
        self.screen.resize(lines, columns)
        self.screen.erase_in_display(2)

    def reads(self) -> None:
        """Take what has come, and wait for nothing."""
        while self._took_some(0):
            pass

    def quits(self, sign: str = "") -> str:
        """Press `q` until the program has ended, or the shell around it shows a sign of that.

        One alone does not do: a machine that is busy may read it with an escape before it, as the
        two bytes of another key.
        """
        for _ in range(12):
            self.press("q")
            with suppress(AssertionError):
                return self.until(
                    lambda text: sign in text if sign else not self.child.isalive(), seconds=5
                )
        raise AssertionError(f"it does not quit:\n{self.text()}")

    def ends(self, seconds: float = 60.0) -> int | None:
        """Wait for the program's end, reading on; returns its exit code, None after a signal."""
        end = time.monotonic() + seconds
        while self.child.isalive():
            assert time.monotonic() < end, "it does not end"
            self._took_some(0.05)
        while self._took_some(0.05):
            pass
        code: int | None = self.child.exitstatus
        return code

    def type(self, keys: str) -> None:
        """Type, and return once what came of it is drawn."""
        self.press(keys)
        self._took_some(0.3)
        while self._took_some(0.1):
            pass


def foreign(raw: bytes, planted: str = "PWNED") -> list[str]:
    """Return what steers in a stream and is not the drawing library's own.

    What a person copies goes to the clipboard by a sequence; `planted` was copied by nobody.
    """
    found = []
    for match in _TOKEN.finditer(raw.decode("utf-8", "replace")):
        token = match.group()
        clip = _COPIED.fullmatch(token)
        is_copy = clip is not None and b64decode(clip[1]).decode() != planted
        if not _ITS_OWN.fullmatch(token) and not is_copy:
            found.append(token)
    return found


#: Modes of a terminal, and whether a shell has them on.
_MODES: Final = {
    7: True,  # lines wrap
    25: True,  # the cursor is seen
    1000: False, 1003: False, 1006: False, 1015: False, 1016: False,  # the mouse reports
    1004: False,  # focus is reported
    1049: False,  # the other screen
    2004: False,  # pasted text is marked
    2026: False,  # pictures are held back until they are whole
    2048: False,  # changes of the size are reported in band
}  # fmt: skip
_SWITCH: Final = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_KEYS: Final = re.compile(rb"\x1b\[([<>])[0-9]*u")


def left_behind(raw: bytes) -> list[str]:
    """Return the modes that a stream leaves otherwise than a shell expects them."""
    state = dict(_MODES)
    for numbers, letter in _SWITCH.findall(raw):
        state |= {int(one): letter == b"h" for one in numbers.split(b";")}
    found = [f"mode {one}" for one, is_on in state.items() if is_on != _MODES.get(one, False)]
    depth = sum(1 if sign == b">" else -1 for sign in _KEYS.findall(raw))
    return found + ([f"{depth} kinds of keyboard"] if depth > 0 else [])
