"""The dashboard once for real: in a pseudo-terminal, until nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from pylon import jsonvalue, paths
from pylon.supervisor.claim import supervised
from tests.conftest import ROOT
from tests.kept import end, pylon, record_of, runtimes_of, state_is, until

pytestmark = pytest.mark.timeout(600)


class Terminal:
    """A program in a pseudo-terminal, and the screen that it draws."""

    def __init__(
        self, *arguments: str, columns: int = 80, lines: int = 24,
        program: tuple[str, ...] = (sys.executable, "-m", "pylon"),
    ) -> None:  # fmt: skip
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(
            program[0], [*program[1:], *arguments], dimensions=(lines, columns),
            env={**os.environ, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"},
        )  # fmt: skip

    def text(self) -> str:
        """Return what is on the screen now."""
        while True:
            try:
                self._stream.feed(self.child.read_nonblocking(65_536, timeout=0.05))
            except (pexpect.TIMEOUT, pexpect.EOF):
                return "\n".join(self.screen.display)

    def until(self, holds: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Return the screen as soon as it shows what is asked for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds(text := self.text()):
                return text
        raise AssertionError(f"it was never shown:\n{text}")

    def press(self, keys: str) -> None:
        """Type."""
        self.child.send(keys)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A copy of the chat example; whatever runs in it is ended afterwards."""
    folder = tmp_path / "chat"
    shutil.copytree(
        ROOT / "examples/chat", folder, ignore=shutil.ignore_patterns(".pylon", "__pycache__")
    )
    yield folder
    end(folder)


def test_the_size_is_that_of_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell exported long ago as COLUMNS and LINES does not keep it small."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(columns=100, lines=30)
    text = terminal.until(lambda text: "UNTOUCHED" in text and "q Quit" in text)
    assert "q Quit" in text.splitlines()[29]
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)


def _pid(project: Path) -> int:
    return int(jsonvalue.parse(paths.runtime_file(project).read_bytes())["pid"])


def _until_none_runs(project: Path, seconds: float) -> float:
    started = time.monotonic()
    while runtimes_of(project):
        assert time.monotonic() - started < seconds, "a runtime is left"
        time.sleep(0.05)
    return time.monotonic() - started


def _until_restart_is_logged(terminal: Terminal) -> None:
    """Return when the command log has the line; it has no room for the folder."""
    terminal.press(":command log\r")
    terminal.until(lambda text: "COMMAND" in text and "pylon projects restart /" in text)


def test_it_supervises_shows_and_stops(project: Path) -> None:
    """Starts, shows a killed runtime and its restart, reloads a save, and leaves nothing behind."""
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● chat" in text)
    first = _pid(project)
    os.kill(first, signal.SIGKILL)
    terminal.until(lambda text: "backing off" in text or "starting" in text)
    terminal.until(lambda text: "● chat dev" in text)
    second = _pid(project)
    assert second != first
    pylon("projects", "restart", str(project))  # whoever asks, the dashboard does it
    third = _pid(project)
    assert third != second
    terminal.until(lambda text: "● chat dev" in text)
    terminal.press("\x12")  # ctrl+r
    until(lambda: runtimes_of(project) not in ([], [third]))
    terminal.until(lambda text: "● chat dev" in text)
    _until_restart_is_logged(terminal)
    terminal.press("2")
    app = project / "app.py"
    good = app.read_text()
    app.write_text(good + "\nthis is no Python\n")
    terminal.until(lambda text: "reload failed" in text)
    terminal.press("n")
    terminal.until(lambda text: "app.py:" in text and "^" in text)
    app.write_text(good.replace('version="1"', 'version="2"'))
    terminal.until(lambda text: "generation 2 live" in text)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
    terminal.child.wait()
    assert terminal.child.exitstatus == 0
    _until_none_runs(project, 1.0)


def test_no_wait_before_or_after_the_screens_is_silent(project: Path) -> None:
    """What is opened is said until the screens are there, what is stopped until it is."""
    terminal = Terminal(str(project))
    terminal.child.expect_exact("opening chat …".encode(), timeout=60)
    terminal.child.expect_exact(b"\x1b[?1049h", timeout=60)
    terminal.until(lambda text: "● chat" in text)
    terminal.press("q")
    terminal.child.expect_exact(b"\x1b[?1049l", timeout=60)
    terminal.child.expect_exact("stopping chat …\r\x1b[K".encode(), timeout=60)
    terminal.child.expect(pexpect.EOF, timeout=60)
    assert terminal.child.before.strip() == b""


def test_a_killed_dashboard_leaves_no_orphan(project: Path) -> None:
    """The runtime notices within three seconds that nobody supervises it, and stops cleanly."""
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● chat" in text)
    terminal.child.kill(signal.SIGKILL)
    _until_none_runs(project, 3.0)


def test_a_detached_runtime_lives_on_and_is_attached_to(project: Path) -> None:
    """`dev --detach` leaves the runtime when the dashboard ends; `pylon` finds it again.

    One that dies meanwhile is started again, though nobody looks.
    """
    terminal = Terminal("dev", str(project), "--detach", "--port", "0")
    terminal.until(lambda text: "● chat" in text)
    pid = _pid(project)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
    time.sleep(0.5)
    assert runtimes_of(project) == [pid]
    again = Terminal(str(project))
    again.until(lambda text: "● chat" in text)
    assert runtimes_of(project) == [pid]
    again.press("q")
    again.child.expect(pexpect.EOF, timeout=60)
    assert runtimes_of(project) == [pid]
    os.kill(pid, signal.SIGKILL)
    until(lambda: runtimes_of(project) not in ([], [pid]))
    until(state_is(project, "running"))
    last = Terminal(str(project))
    last.until(lambda text: "● chat" in text)
    os.kill(_pid(project), signal.SIGTERM)
    last.until(lambda text: "nobody supervises it any more" in text)
    _until_none_runs(project, 5.0)
    assert supervised(project) is None
    last.press("q")
    last.child.expect(pexpect.EOF, timeout=60)


_SLOW_START = """
import pathlib, time
_GATE = pathlib.Path(__file__).with_name("gate")
while _GATE.exists():
    time.sleep(0.05)
"""


def test_a_dashboard_that_comes_while_the_runtime_restarts_attaches_to_it(project: Path) -> None:
    """It starts none of its own, says what happens there, and shows it as soon as it is up."""
    app = project / "app.py"
    app.write_text(app.read_text() + _SLOW_START)
    pylon("dev", str(project), "--no-tui", "--detach", "--port", "0")
    keeper = record_of(project).pid
    gate = project / "gate"
    gate.touch()
    os.kill(_pid(project), signal.SIGKILL)
    until(state_is(project, "backing off", "starting"))
    terminal = Terminal(str(project), columns=120)
    terminal.until(lambda text: "it is starting there" in text)
    assert len(runtimes_of(project)) == 1
    gate.unlink()
    terminal.until(lambda text: "● chat" in text)
    assert record_of(project).pid == keeper
    assert len(runtimes_of(project)) == 1
    first = _pid(project)
    terminal.press("\x12")  # ctrl+r: the supervisor elsewhere is asked
    until(lambda: runtimes_of(project) not in ([], [first]))
    terminal.until(lambda text: "● chat" in text)
    _until_restart_is_logged(terminal)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
    assert len(runtimes_of(project)) == 1


def test_a_project_that_sleeps_is_woken_by_its_dashboard(project: Path) -> None:
    """Opening it is coming to it; while it is open it stays awake."""
    pylon("dev", str(project), "--no-tui", "--detach", "--port", "0", "--sleep-after", "0.02")
    until(state_is(project, "asleep"))
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● chat" in text)
    assert state_is(project, "running")()
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
    until(state_is(project, "asleep"))


def test_the_stack_of_a_hung_loop_is_shown(project: Path) -> None:
    """A loop that does not answer is shown with the line where it hangs."""
    import urllib.request

    app = project / "app.py"
    app.write_text(
        app.read_text() + '\n\n@app.action(allow="true")\nasync def stuck(ctx) -> None:\n'
        "    import time\n    time.sleep(30)  # the line that hangs\n"
    )
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● chat" in text)
    port = int(jsonvalue.parse(paths.runtime_file(project).read_bytes())["port"])
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/fn/stuck", data=b"{}",
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(request, timeout=1)
    terminal.until(lambda text: "hung" in text)
    terminal.press("n")
    terminal.until(lambda text: "in stuck" in text)
    terminal.press("q")
    terminal.until(lambda text: "quit?" in text or not terminal.child.isalive())
    if terminal.child.isalive():
        terminal.press("y")
    terminal.child.expect(pexpect.EOF, timeout=60)
    _until_none_runs(project, 2.0)


def test_no_terminal_is_said_in_one_line(project: Path) -> None:
    """Without a terminal the dashboard refuses and names what works."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "pylon", str(project)], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr
    assert "--no-tui" in done.stderr


def test_texts_are_shown_in_the_pager(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P hands a text over whole, what can be copied too; the dashboard is there again behind it."""
    shown, pager = tmp_path / "shown", tmp_path / "pager"
    pager.write_text(f"cat > {shown}\nprintf 'in the %s' pager\nread -r key < /dev/tty\n")
    monkeypatch.setenv("PAGER", f"sh {pager}")
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● chat" in text)
    terminal.press("9")
    terminal.until(lambda text: "Membership" in text)
    terminal.press("y")
    terminal.until(lambda text: "P pager" in text and "in words:" in text)
    terminal.press("P")
    terminal.until(lambda text: "in the pager" in text)
    assert "signed in" in shown.read_text()
    terminal.press("\r")
    terminal.until(lambda text: "P pager" in text and "in words:" in text)
    terminal.press("\x1b")
    terminal.until(lambda text: "P pager" not in text)
    terminal.press("\r")
    terminal.until(lambda text: "y copy · P pager" in text)
    terminal.press("P")
    terminal.until(lambda text: "in the pager" in text)
    assert "auth.userId != null && (" in shown.read_text()
    terminal.press("\r")
    terminal.until(lambda text: "y copy · P pager" in text)
    terminal.press("\x1b")
    terminal.until(lambda text: "P pager" not in text)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)
