"""Where the tour is given: a real project, its real dashboard in a terminal, and two browsers."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

import pexpect
import pyte
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.browser.conftest import FLAGS, chromium
from tests.tour.pictures import Grid, cells, settled
from tests.tour.script import Edit, Keys, Picture, Shell, Step, TourWrong, Visit

expect.set_options(timeout=60_000)
#: Bounds on hanging: a busy machine is late.
_SECONDS: Final = 60.0
#: How long a key in the middle of a line may go without the screen answering it.
_UNANSWERED_SECONDS: Final = 2.0
_COPIED: Final = re.compile(rb"\x1b\]52;[^;]*;([A-Za-z0-9+/=]+)(?:\x07|\x1b\\)")
#: Words that stand for what `y` copied last.
_PASTED: Final = re.compile(r"\b(?:CODE|ID|NAME)\b")
_KEYS: Final = {
    "enter": "\r", "esc": "\x1b", "tab": "\t", "space": " ", "backspace": "\x7f",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
}  # fmt: skip
#: How many looks in a row, a moment apart, find the same where nothing is on its way.
_ALIKE: Final = 6
_LOOK_SECONDS: Final = 0.05
#: What is on the screen once the dashboard has ended.
_SHELL: Final = "$"
#: What of our own environment would make another dashboard of it.
_OURS: Final = re.compile(r"PYLON_|TEXTUAL|COLUMNS$|LINES$|NO_COLOR$|TMUX$|SSH_")
_SIZE: Final = (100, 22)
_TOAST: Final = re.compile(r"▌[^\n]*\Z")


class Terminal:
    """The dashboard in a pseudo-terminal: what it draws, and what it copies."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        columns, lines = _SIZE
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._raw = b""
        self.copied, self.copies = "", 0
        self.received = 0
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable, ["-m", "pylon"], cwd=str(folder), dimensions=(lines, columns),
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor",
                 "TEXTUAL_ANIMATIONS": "none"},
        )  # fmt: skip
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        """Take in what it draws as it comes: one whose terminal does not read stands still."""
        while True:
            try:
                got = self.child.read_nonblocking(65_536, timeout=None)
            except (pexpect.EOF, OSError, ValueError):
                return
            with self._lock:
                self._stream.feed(got)
                self.received += len(got)
                self._raw = (self._raw + got)[-65_536:]
                for found in _COPIED.finditer(self._raw):
                    self.copied = base64.b64decode(found[1]).decode()
                    self.copies += 1
                self._raw = self._raw[_ends(_COPIED, self._raw) :]

    @property
    def text(self) -> str:
        """Return what is on the screen."""
        with self._lock:
            return "\n".join(self.screen.display)

    def grid(self) -> Grid:
        """Return what is on the screen, with its colours."""
        with self._lock:
            return cells(self.screen)

    def until(self, holds: Callable[[str], bool], seconds: float = _SECONDS) -> bool:
        """Tell whether the screen comes to show what is asked for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds(self.text):
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def end(self) -> None:
        """End it; the runtime notices that nobody supervises it."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self._reader.join()
        self.child.close()

    def press(self, key: str) -> None:
        """Press a key, and give the screen the time to answer it."""
        before = self.received
        self.child.send(key)
        self.until(lambda _: self.received > before, _UNANSWERED_SECONDS)


def _ends(pattern: re.Pattern[bytes], raw: bytes) -> int:
    return max((found.end() for found in pattern.finditer(raw)), default=0)


class Stage:
    """Does the steps of a tour in one project, and keeps the pictures that they make."""

    def __init__(self, folder: Path, state: Path) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not _OURS.match(name)},
            "PYLON_STATE_DIR": str(state),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        self._stack = ExitStack()
        self._browser: Browser | None = None
        self._pages: dict[str, Page] = {}
        self._terminal: Terminal | None = None
        #: What each picture shows, by the name of its file.
        self.pictures: dict[str, Grid] = {}

    def do(self, step: Step) -> None:
        """Do one step; raises TourWrong where it does not go as the tour says."""
        match step:
            case Shell(command="pylon"):
                self._start(step)
            case Shell():
                self._run(step)
            case Keys():
                self._press(step)
            case Visit():
                self._visit(step)
            case Edit():
                self._edit(step)
            case Picture():
                self._draw(step)

    def close(self) -> None:
        """End the dashboard, with it the runtime, and the browser."""
        self._stack.close()
        if self._terminal is not None:
            self._terminal.end()

    # --- the terminal

    def _start(self, step: Shell) -> None:
        self._terminal = Terminal(self._folder, self._environment)
        for line, words in step.prints:
            if not self._terminal.until(lambda text, words=words: words in text):  # type: ignore[misc]
                raise TourWrong(line, f"the dashboard never showed {words!r}:\n{self._screen}")

    def _shown(self, line: int) -> Terminal:
        if self._terminal is None:
            raise TourWrong(line, "the dashboard was not opened by `$ pylon` yet")
        return self._terminal

    @property
    def _screen(self) -> str:
        return "" if self._terminal is None else self._terminal.text

    def _press(self, step: Keys) -> None:
        terminal = self._shown(step.line)
        copies = terminal.copies
        for key in step.keys:
            terminal.press(_key(step.line, key))
        missing = list(step.shows)

        def is_shown(text: str) -> bool:
            flat = re.sub(r" +", " ", text)
            missing[:] = [one for one in step.shows if one not in flat]
            if step.shows == (_SHELL,):
                return not terminal.child.isalive()
            # The notice of an earlier copy may still be there.
            return not missing and ("copied" not in step.shows or terminal.copies > copies)

        if not terminal.until(is_shown):
            raise TourWrong(
                step.line, f"after {' '.join(step.keys)} never shown: {missing}\n{terminal.text}"
            )

    def _draw(self, step: Picture) -> None:
        terminal = self._shown(step.line)
        seen: list[Grid] = []

        def rests(text: str) -> bool:
            # Notices go by themselves; whether one is still there is a matter of the machine.
            if _TOAST.search(text):
                seen.clear()
                return False
            seen.append(settled(terminal.grid()))
            return len(seen) >= _ALIKE and all(one == seen[-1] for one in seen[-_ALIKE:])

        if not terminal.until(rests):
            raise TourWrong(step.line, f"the screen does not come to rest:\n{terminal.text}")
        self.pictures[step.file] = seen[-1]

    # --- the shell and the files

    def _pasted(self, text: str) -> str:
        copied = self._terminal.copied if self._terminal is not None else ""
        return _PASTED.sub(copied, text) if copied else text

    def _run(self, step: Shell) -> None:
        where = self._folder.parent / "where"
        done = subprocess.run(
            ["sh", "-c", f"{self._pasted(step.command)}\ncode=$?; pwd > {where}; exit $code"],
            cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )  # fmt: skip
        self._folder = Path(where.read_text().strip())
        rest = re.sub(r" +", " ", done.stdout)
        for line, words in step.prints:
            _, found, rest = rest.partition(re.sub(r" +", " ", words))
            if not found:
                raise TourWrong(line, f"not printed by `{step.command}`:\n{done.stdout}")
        if done.returncode and not step.prints:
            raise TourWrong(step.line, f"`{step.command}` failed:\n{done.stdout}")

    def _edit(self, step: Edit) -> None:
        path = self._folder / step.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if not step.old:
            path.parent.mkdir(exist_ok=True)
            new = text + step.new
        elif text.count(step.old) == 1:
            new = text.replace(step.old, step.new)
        else:
            raise TourWrong(step.line, f"{step.file} has those lines {text.count(step.old)} times")
        path.write_text(new, encoding="utf-8")

    # --- the browsers

    def _visit(self, step: Visit) -> None:
        if step.who not in self._pages:
            if step.does != "opens":
                raise TourWrong(step.line, f"{step.who} has no browser yet")
            if self._browser is None:
                self._browser = self._stack.enter_context(_chromium())
            self._pages[step.who] = self._browser.new_context().new_page()
        page, text = self._pages[step.who], self._pasted(step.text)
        try:
            match step.does:
                case "opens":
                    page.goto(re.sub(r":4321\b", f":{self._port(step.line)}", step.what))
                case "clicks":
                    _one(page, "button", step.what).or_(_one(page, "link", step.what)).click()
                case "fills":
                    page.get_by_label(step.what, exact=True).first.fill(text)
                case "presses":
                    page.keyboard.press(step.what)
                case "sees":
                    expect(page.get_by_text(step.what).first).to_be_visible()
                case "leaves":
                    page.context.close()
                case "misses":
                    expect(page.get_by_text(step.what)).to_have_count(0)
        except (AssertionError, PlaywrightError) as error:
            shown = page.locator("body").aria_snapshot()
            raise TourWrong(step.line, f"{step.who}: {error}\nthe page:\n{shown}") from error

    def _port(self, line: int) -> str:
        found = re.search(r" :(\d+) ", self._shown(line).text)
        if found is None:
            raise TourWrong(line, f"the dashboard shows no port:\n{self._screen}")
        return found[1]


def _one(page: Page, role: Literal["button", "link"], name: str) -> Locator:
    return page.get_by_role(role, name=name, exact=True).first


def _key(line: int, key: str) -> str:
    if key.startswith('"'):
        return key[1:-1]
    if key.startswith("ctrl+"):
        return chr(ord(key[-1]) - ord("a") + 1)
    if key not in _KEYS and len(key) != 1:
        raise TourWrong(line, f"there is no key {key!r}")
    return _KEYS.get(key, key)


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()
