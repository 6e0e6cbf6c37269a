"""A command of Pylon's in a process of its own, which ends with whoever asked for it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

#: (exit code, what it printed, what it complained of) of a command.
Outcome = tuple[int, str, str]


async def run_pylon(*words: str, folder: Path | None = None) -> Outcome:
    """Run `pylon` with these words to its end, in a folder: this very Pylon, on no terminal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pylon", *words, cwd=folder,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:  # who asked is gone: a plan half carried out rolls back
            with suppress(ProcessLookupError):
                process.terminate()
    texts = [one.decode("utf-8", "replace").strip() for one in (out, err)]
    return process.returncode or 0, texts[0], texts[1]
