"""Stopping in reverse, each step within a deadline, whatever the others do."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pylon.server import lifecycle
from pylon.server.lifecycle import Stopper


async def test_no_step_keeps_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One fails, one hangs, one does not let itself be cancelled: all are asked, in reverse."""
    monkeypatch.setattr(lifecycle, "_MOMENT_SECONDS", 0.02)
    caplog.set_level(logging.CRITICAL)
    asked: list[str] = []
    stopper, end = Stopper(), asyncio.Event()

    def add(name: str, how: str = "ends") -> None:
        async def stop() -> None:
            asked.append(name)
            match how:
                case "fails":
                    raise ValueError
                case "hangs":
                    await asyncio.sleep(3600)
                case "stays":
                    while not end.is_set():
                        try:
                            await end.wait()
                        except asyncio.CancelledError:
                            asked.append("stayed")

        stopper.add(name, stop)

    add("first")
    add("fails", "fails")
    add("hangs", "hangs")
    add("stays", "stays")
    add("last")
    try:
        async with asyncio.timeout(60):
            await stopper.stop(0.06)
        assert asked == ["last", "stays", "stayed", "hangs", "fails", "first"]
    finally:
        end.set()
        await asyncio.sleep(0.01)
