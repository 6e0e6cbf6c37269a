"""What a runtime prints, on its way to whoever watches it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import psutil
import pytest

from pylon import paths
from pylon.supervisor.process import RuntimeProcess
from pylon.supervisor.runtime_log import RuntimeLog

LINES = 50_000


async def _printed(folder: Path, code: str) -> tuple[list[list[str]], str]:
    """Return the lines of a program as they came, and its log."""
    came: list[list[str]] = []
    with socket.socket() as listener:
        process = RuntimeProcess(
            folder, mode="dev", listener=listener, host="127.0.0.1", port=1, extra=(),
            on_lines=came.append, on_exit=lambda code: None,
        )  # fmt: skip
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
        await process._watch(child, RuntimeLog(folder / "log"))
    return came, (folder / "log").read_text()


async def test_many_lines_come_together_and_none_is_lost(tmp_path: Path) -> None:
    """One that prints a lot costs by the piece that is read, and each piece gives the loop back."""
    came, log = await _printed(
        tmp_path, f"print(*(f'line {{n}}' for n in range({LINES})), sep='\\n')"
    )
    lines = [f"line {n}" for n in range(LINES)]
    assert [text for texts in came for text in texts] == lines
    assert len(came) < LINES / 20
    assert log == "".join(f"{one}\n" for one in lines)


async def test_a_line_without_an_end_comes_at_the_end(tmp_path: Path) -> None:
    """A last word is a line; empty lines are lines."""
    came, log = await _printed(tmp_path, "print('one', end='\\n\\ntwo')")
    assert [text for texts in came for text in texts] == ["one", "", "two"]
    assert log == "one\n\ntwo\n"


async def test_a_line_of_any_length_is_no_reason_to_stop(tmp_path: Path) -> None:
    """One beyond the limit is left out; what comes behind it is read."""
    came, _ = await _printed(tmp_path, "print('x' * 1_000_000); print('behind')")
    texts = [text for texts in came for text in texts]
    assert texts[-1] == "behind"
    assert sum(map(len, texts)) < 600_000


async def test_a_runtime_whose_log_has_no_place_is_not_started(tmp_path: Path) -> None:
    """A child that nobody reads and waits for would own the folder, and the next one could not."""
    project = tmp_path / "project"
    project.mkdir()
    paths.runtime_log_path(project).mkdir(parents=True)
    children = set(psutil.Process().children())
    with socket.socket() as listener:
        process = RuntimeProcess(
            project, mode="dev", listener=listener, host="127.0.0.1", port=1, extra=(),
            on_lines=lambda texts: None, on_exit=lambda code: None,
        )  # fmt: skip
        with pytest.raises(IsADirectoryError):
            await process.spawn()
    assert process.pid is None
    assert set(psutil.Process().children()) == children


async def test_a_runtime_that_cannot_be_started_gives_its_log_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many descriptors are open as before."""

    async def fails(*command: str, **given: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails)
    with socket.socket() as listener:
        process = RuntimeProcess(
            tmp_path, mode="dev", listener=listener, host="127.0.0.1", port=1, extra=(),
            on_lines=lambda texts: None, on_exit=lambda code: None,
        )  # fmt: skip
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="temporarily unavailable"):
            await process.spawn()
        assert len(os.listdir("/proc/self/fd")) == before
