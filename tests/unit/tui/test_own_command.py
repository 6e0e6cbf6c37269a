"""Commands of Pylon's own that the dashboard has run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from pylon.tui.own_command import run_pylon


async def test_it_is_this_pylon_in_the_folder_that_is_named(tmp_path: Path) -> None:
    """What it prints and how it ends are told."""
    code, out, err = await run_pylon("check", folder=tmp_path)
    assert (code, out) == (1, "")
    assert f"there is no app.py in {tmp_path}" in err


async def test_it_ends_with_whoever_asked_for_it(tmp_path: Path) -> None:
    """One that is given up does not go on by itself, and writes nothing more."""
    (tmp_path / "app.py").write_text("import time\ntime.sleep(600)\n")
    asked = asyncio.create_task(run_pylon("check", folder=tmp_path))
    async with asyncio.timeout(60):
        while not (children := _children(tmp_path)):
            await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(30):
        while any(one.is_running() for one in children):
            await asyncio.sleep(0.05)


def _children(folder: Path) -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children():
        try:
            if one.cwd() == str(folder):
                found.append(one)
        except psutil.Error:
            continue
    return found
