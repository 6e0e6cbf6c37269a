"""Hot reload that can't be had is said, not missed at the next save."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pylon.cli.saves import watched
from tests.kept import make_project


async def test_its_end_is_told_once_and_not_where_it_is_wished() -> None:
    """An error is told with its kind; a cancellation by the caller is not."""
    told: list[str] = []

    async def fails() -> None:
        raise OSError("no more watches")

    async def lasts() -> None:
        await asyncio.Event().wait()

    await asyncio.gather(watched(fails(), told.append), return_exceptions=True)
    task = watched(lasts(), told.append)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (words,) = told
    assert "OSError: no more watches" in words
    assert "start pylon dev anew" in words


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends it at once there")
async def test_a_watch_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    """The app is served; the terminal says that saves are not seen, and why."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "watchfiles.py").write_text("raise ImportError('libgcc_s.so.1: not there')\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", "0",
        str(make_project(tmp_path / "notes")),
        env={**os.environ, "PYTHONPATH": str(broken), "PYLON_STATE_DIR": str(tmp_path / "state")},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    while not any("saves are not seen" in line for line in lines):
        line = (await process.stdout.readline()).decode()
        assert line, lines
        lines.append(line)
    assert "libgcc_s.so.1: not there" in lines[-1]
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends it at once there")
async def test_it_ends_though_nobody_reads_what_it_prints_any_more(tmp_path: Path) -> None:
    """The `head` behind it has gone: saves are taken all the same, and SIGTERM ends it."""
    project = make_project(tmp_path / "notes")
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", "0", str(project)],
        env={**os.environ, "PYLON_STATE_DIR": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while b"listening on" not in (line := process.stdout.readline()):
            assert line
        process.stdout.close()
        # A mistake has much to say.
        (project / "app.py").write_text("from pylon import App\n\napp = App('')\n")
        await asyncio.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
        process.wait()
