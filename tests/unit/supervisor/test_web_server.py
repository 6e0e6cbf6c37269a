"""The project's own web server: what is said where there is nothing to start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pylon.supervisor.web_server import WebServer
from pylon.testing.manual_clock import ManualClock


@pytest.mark.parametrize(
    ("folder", "command", "said"),
    [(".", "vite --name 'shop", "No closing quotation"), ("gone", "vite", "No such file")],
)
async def test_what_cannot_be_started_is_said_and_tried_again(
    tmp_path: Path, folder: str, command: str, said: str
) -> None:
    """A quote that is not closed in pylon.toml, a folder that is gone: no silence for ever."""
    told: list[str] = []
    clock = ManualClock()
    server = WebServer(tmp_path / folder, clock, lambda kind, text: told.append(text))
    await server.use(command)
    try:
        async with asyncio.timeout(20):
            while len(told) < 2:
                await asyncio.sleep(0.01)
                await clock.advance(60)
    finally:
        await server.stop()
    assert all(one.startswith("the web server can't be started: ") and said in one for one in told)
