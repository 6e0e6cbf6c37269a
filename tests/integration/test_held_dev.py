"""`pylon dev --no-tui` and a start that fails: by what a save may mend it stays, and goes on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kept import NARROW, WIDE, end, make_held, make_project, pylon

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A project whose next start waits for a decision."""
    folder = make_held(tmp_path / "held")
    yield folder
    end(folder)


@contextmanager
def _begun(project: Path, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Yield `pylon dev` of a project, whose lines come from one pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", str(port), str(project)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def dev(held: Path) -> Iterator[subprocess.Popen[str]]:
    """Return `pylon dev` of it."""
    with _begun(held) as process:
        yield process


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


#: Apps that do not start, with what is said of each.
BROKEN = (
    (f"{WIDE}\nraise RuntimeError('not yet')\n", "not yet"),
    (f"{WIDE}\nimport no_such_module\n", "no_such_module"),
    (f"{WIDE}\nimport sys\nsys.exit(3)\n", "sys.exit"),
    (f"{WIDE}\nimport os\nos.kill(os.getpid(), 9)\n", "did not help"),
)
_BAD_MIGRATION = "def migrate(ctx):\n    ctx.db.insert('Note', text=1)\n"


@pytest.mark.parametrize(("app", "words"), BROKEN)
def test_a_first_start_with_mistakes_waits_for_the_save_that_mends_them(
    tmp_path: Path, app: str, words: str
) -> None:
    """Whatever the mistake does: an exception, an exit, or the death of the process."""
    project = make_project(tmp_path / "broken", app)
    with _begun(project) as dev:
        until = _reader(dev)
        assert words in until("waiting for a save that mends it")
        (project / "app.py").write_text(WIDE)
        until("listening on ")
        dev.send_signal(signal.SIGTERM)
        assert dev.wait(60) == 0
    end(project)


def test_an_import_that_hangs_is_told_of_and_a_save_goes_on(tmp_path: Path) -> None:
    """Nothing was said, and no save reached a runtime that does not answer yet."""
    project = make_project(tmp_path / "hanging", f"{WIDE}\nimport time\ntime.sleep(600)\n")
    with _begun(project) as dev:
        until = _reader(dev)
        until("still starting: app.py has not loaded yet")
        (project / "app.py").write_text(WIDE)
        said = until("listening on ")
        assert "mistakes" not in said
        dev.send_signal(signal.SIGTERM)
        assert dev.wait(60) == 0
    end(project)


def test_a_data_migration_that_fails_at_a_start_is_waited_for(tmp_path: Path) -> None:
    """It is a file of the project like app.py."""
    project = make_project(tmp_path / "broken", WIDE)
    (project / "migrations").mkdir()
    (project / "migrations/0001_rows.py").write_text(_BAD_MIGRATION)
    with _begun(project) as dev:
        until = _reader(dev)
        assert "0001_rows.py:2" in until("waiting for a save that mends it")
        (project / "migrations/0001_rows.py").write_text(_BAD_MIGRATION.replace("1)", "'1')"))
        until("listening on ")
    end(project)


def test_what_no_save_mends_ends_it(tmp_path: Path) -> None:
    """A port that somebody has: said, with what to do, and the exit code is that of a failure."""
    project = make_project(tmp_path / "taken", WIDE)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with _begun(project, port) as dev:
            said, _ = dev.communicate(timeout=60)
    assert dev.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "choose another with --port" in said or "choose one with --port" in said
    assert "Traceback" not in said
    end(project)
