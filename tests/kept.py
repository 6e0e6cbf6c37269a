"""Projects that run under keepers, in tests: started and ended, whatever becomes of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pylon.supervisor.claim import Record, supervised

APP = """from pylon import App, Entity

app = App("kept")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str


@app.action(allow="true")
async def stuck(ctx) -> None:
    import time
    time.sleep(60)


@app.mutation(allow="true")
def later(ctx, seconds: int) -> None:
    ctx.jobs.enqueue(write, delay=seconds)


@app.job()
def write(ctx) -> None:
    ctx.db.insert(Note, text="from the job")
"""


#: One that has lost a field: its rows have values there.
WIDE = """from pylon import App, Entity

app = App("held")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
    more: str = ""
"""
NARROW = WIDE.replace('    more: str = ""\n', "")
_ROWS = """def migrate(ctx):
    for number in range(3):
        ctx.db.insert("Note", text=str(number), more="some")
"""


def make_held(folder: Path, app: str = NARROW) -> Path:
    """Write a project of three rows, whose next start waits for a decision."""
    make_project(folder, WIDE)
    (folder / "migrations").mkdir()
    (folder / "migrations/0001_rows.py").write_text(_ROWS)
    pylon("migrate", "--apply", str(folder))
    (folder / "app.py").write_text(app)
    return folder


def make_project(folder: Path, app: str = APP) -> Path:
    """Write a small project into a folder."""
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(app)
    return folder


def pylon(*arguments: str, code: int = 0, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command that ends, with no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "pylon", *arguments], stdin=subprocess.DEVNULL, text=True,
        capture_output=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == code, (arguments, done)
    return done


def record_of(project: Path) -> Record:
    """Return what the project's supervisor says."""
    found = supervised(project)
    assert found is not None
    return found


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return as soon as something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def state_is(project: Path, *states: str) -> Callable[[], bool]:
    """Return what tells whether the project's supervisor is in one of these states."""

    def holds() -> bool:
        found = supervised(project)
        return found is not None and found.state in states

    return holds


def runtimes_of(project: Path) -> list[int]:
    """Return the processes of a project's runtimes."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "pylon.server" in line and str(project) in line:
            found.append(process.pid)
    return found


def end(project: Path) -> None:
    """End whatever runs in a project: its supervisor first."""
    found = supervised(project)
    if found is not None and found.pid != os.getpid():
        os.kill(found.pid, signal.SIGKILL)
    for pid in runtimes_of(project):
        os.kill(pid, signal.SIGKILL)
