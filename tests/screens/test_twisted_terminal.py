"""I99 from elsewhere: the dashboard attached to a runtime that means ill, in a pseudo-terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import psutil
import pytest

from pylon.tui.registry import SCREENS
from tests.planted import fill, plant
from tests.recorded import Recorded, foreign, left_behind
from tests.screens.test_hostile_terminal import ESC, LINES, TOUR, go
from tests.screens.test_planted_terminal import MEMORY_MAX
from tests.twisted import TwistedRuntime

pytestmark = [pytest.mark.timeout(300), pytest.mark.pair]
TOKEN: Final = "a-token-of-forty-characters-and-of-no-use"


async def test_a_runtime_elsewhere_steers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every text that it tells, ids, states and times too, has behind it what would steer."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYLON_ADMIN_TOKEN", TOKEN)
    served = plant(tmp_path / "planted", tmp_path / "state")
    try:
        await served.start()
        following = await fill(served)
        elsewhere = await TwistedRuntime(served.url).start()
        try:
            await asyncio.to_thread(_walk, elsewhere.url)
        finally:
            await elsewhere.close()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        await served.close()


def _walk(url: str) -> None:
    terminal = Recorded("attach", url, columns=100, lines=30)
    terminal.until(lambda text: "● planted" in text)
    process = psutil.Process(terminal.child.pid)
    for screen in SCREENS:
        begin = len(terminal.raw)
        go(terminal, screen)
        for keys in TOUR[screen.name]:
            if keys not in LINES:  # what opens them names what is twisted here
                terminal.type(keys)
                assert terminal.child.isalive(), f"{screen.name} {keys!r}: {terminal.text()}"
        terminal.until(lambda text: "PWNED" in text)  # the name of the app has it too
        assert foreign(bytes(terminal.raw[begin:])) == [], screen.name
        assert process.memory_info().rss < MEMORY_MAX, screen.name
    terminal.type(ESC)
    terminal.quits()
    assert terminal.ends() == 0
    assert left_behind(bytes(terminal.raw)) == []
