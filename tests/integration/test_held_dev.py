"""`pylon dev --no-tui` and a migration that waits: it stays, says how to go on, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kept import NARROW, WIDE, end, make_held, pylon

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A project whose next start waits for a decision."""
    folder = make_held(tmp_path / "held")
    yield folder
    end(folder)


@pytest.fixture
def dev(held: Path) -> Iterator[subprocess.Popen[str]]:
    """Return `pylon dev` of it, whose lines come from one pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", "0", str(held)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _reader(dev: subprocess.Popen[str]) -> Callable[[str], str]:
    """Return what reads on to the line that has some words, and returns all up to it."""

    def until(words: str) -> str:
        assert dev.stdout is not None
        lines = []
        while not lines or words not in lines[-1]:
            lines.append(dev.stdout.readline())
            assert lines[-1], f"it ended:\n{''.join(lines)}"
        return "".join(lines)

    return until


def test_it_stays_until_a_save_or_a_decision(held: Path, dev: subprocess.Popen[str]) -> None:
    """A cold start, a save beside an old version, and a restart by pylon.toml: none ends it."""
    until, app = _reader(dev), held / "app.py"
    said = until(f"pylon migrate {held}")
    assert "LOSES DATA: drop Note.more: 3 rows have a value" in said
    assert "waiting for a save that mends it, or for your decision; its plan:" in said
    app.write_text(WIDE)
    until("listening on ")
    until("generation 1 live")
    app.write_text(NARROW)
    said = until(f"pylon reload --migrate --project {held}")
    assert "the old version serves on" in said
    (held / "pylon.toml").write_text("[log]\nretain_days = 5\n")
    until(f"pylon migrate {held}")
    done = pylon("migrate", "--apply", str(held))
    assert "starting held" in done.stderr
    until("listening on ")
    app.write_text(NARROW.replace("text: str", 'other: str = ""'))
    until(f"pylon reload --migrate --project {held}")
    pylon("reload", "--migrate", "--project", str(held))
    assert "nothing to do" in pylon("migrate", str(held)).stdout
    dev.send_signal(signal.SIGTERM)
    assert dev.wait(60) == 0
