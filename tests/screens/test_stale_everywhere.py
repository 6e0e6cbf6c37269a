"""No screen shows what is older than two seconds without saying so: one look at all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pylon.client.admin import AdminClient
from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from pylon.tui.registry import SCREENS
from tests.conftest import Serve
from tests.screens.fakes import PutForward
from tests.screens.test_dashboard import until

#: What these show comes over the stream, and the header says how old that is; or it is of here.
APP = """
from pylon import App, Entity

app = App("old")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str


@app.query(allow="true")
def count(ctx) -> int:
    return ctx.db.count(Note)
"""
BY_STREAM = {"log", "clients", "functions", "mail", "runtime", "commands", "projects"}


class _Gate:
    """What is asked goes through while it is open, and is not answered while it is shut."""

    def __init__(self, admin: Any) -> None:
        self._get = admin.get
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.answered: list[str] = []
        self.waiting = 0
        admin.get = self.get

    async def get(self, path: str, **params: Any) -> Any:
        self.waiting += 1
        try:
            await self.is_open.wait()
            found = await self._get(path, **params)
        finally:
            self.waiting -= 1
        self.answered.append(path)
        return found


def _below_header(app: Dashboard) -> str:
    return "\n".join(grid(app)[2:])


@asynccontextmanager
async def _opened(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> AsyncIterator[tuple[Dashboard, _Gate, PutForward, Any]]:
    """Open a dashboard on a runtime; yields a caller of its, too."""
    served = await serve(APP)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    admin, clock = AdminClient.local(served.project), PutForward()
    gate = _Gate(admin)
    try:
        app = Dashboard(clock, admin)
        async with app.run_test(size=size):
            await until(app, lambda _: bool(app.state.status))
            yield app, gate, clock, await served.login("ada@example.com")
    finally:
        await admin.close()


async def test_every_screen_says_that_its_own_source_does_not_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the stream goes on, what a screen asks for itself is not answered any more."""
    async with _opened(serve, monkeypatch, (120, 40)) as (app, gate, clock, ada):
        for entry in SCREENS:
            if entry.name in BY_STREAM:
                continue
            gate.answered.clear()
            app.action_pane(entry.name)
            async with asyncio.timeout(60):
                while not gate.answered or gate.waiting:
                    await asyncio.sleep(0.01)
            await until(app, lambda _: "STALE" not in _below_header(app))
            gate.is_open.clear()
            app.pane.ask_again()
            await ada.insert("Note", text=entry.name)  # something moves
            async with asyncio.timeout(60):
                while not gate.waiting:
                    await asyncio.sleep(0.01)
            # What is looked at every ten seconds says meanwhile when that was.
            clock.ahead += 13.0 if entry.name == "doctor" else 2.1
            await until(app, lambda _: "STALE" in _below_header(app))
            gate.is_open.set()


async def test_every_screen_says_that_the_stream_is_silent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a screen shows: where there is no news the first line says it."""
    async with _opened(serve, monkeypatch, (80, 24)) as (app, _, clock, _):
        app._fold = lambda message: None  # type: ignore[method-assign]
        clock.ahead = 2.1
        for entry in SCREENS:
            app.action_pane(entry.name)
            await until(app, lambda _: "gone: it does not answer" in grid(app)[0])
