"""What a runtime prints, on its way to whoever watches it."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

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
