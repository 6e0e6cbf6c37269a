"""The terminal lent to a program: one that is not there, and one that is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.kept import end, make_project
from tests.screens.test_terminal import Terminal

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A small project; whatever runs in it is ended afterwards."""
    folder = make_project(tmp_path / "kept")
    yield folder
    end(folder)


def _at_a_text(project: Path) -> Terminal:
    """Open the dashboard, and a text in it."""
    terminal = Terminal(str(project))
    terminal.until(lambda text: "● kept" in text)
    terminal.press("9")
    terminal.until(lambda text: "Note" in text)
    terminal.press("\r")
    terminal.until(lambda text: "y copy · P pager" in text)
    return terminal


def _lives(terminal: Terminal) -> None:
    """Leave the text, go elsewhere, and end: keys are read, and what they lead to is drawn."""
    terminal.press("\x1b")
    terminal.until(lambda text: "P pager" not in text)
    terminal.press("2")
    terminal.until(lambda text: "No change yet" in text)
    terminal.press("q")
    terminal.child.expect(pexpect.EOF, timeout=60)


def test_a_pager_that_is_not_there_is_named_and_the_dashboard_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screens come back from where they stood aside."""
    monkeypatch.setenv("PAGER", "/no/such-pager")
    terminal = _at_a_text(project)
    terminal.press("P")
    terminal.until(lambda text: "PAGER names another" in text)
    _lives(terminal)


def test_ctrl_c_in_a_pager_is_the_pagers(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends a search in less; the dashboard, and what it supervises, are not meant."""
    pager, heard = tmp_path / "pager", tmp_path / "heard"
    pager.write_text(
        f"trap 'echo yes > {heard}' INT\ncat > /dev/null\nprintf 'in the %s' pager\n"
        "while ! read -r key < /dev/tty; do :; done\n"
    )
    monkeypatch.setenv("PAGER", f"sh {pager}")
    terminal = _at_a_text(project)
    terminal.press("P")
    terminal.until(lambda text: "in the pager" in text)
    terminal.press("\x03")
    terminal.until(lambda _: heard.exists())
    terminal.press("\r")
    terminal.until(lambda text: "y copy · P pager" in text)
    _lives(terminal)
