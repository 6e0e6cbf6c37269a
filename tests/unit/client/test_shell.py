"""The shell of the Python client: what it does where its store fails."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from pylon.client import events as ev
from pylon.client.connection import Connection
from pylon.client.shell import Shell
from pylon.client.store_sqlite import SqliteStore
from pylon.testing.manual_clock import ManualClock


class _Asking:
    """A machine that asks for somebody's mutations when the network comes."""

    def __init__(self) -> None:
        self.loaded: list[ev.PendingLoaded] = []

    def step(self, event: ev.Event) -> list[ev.Command]:
        if isinstance(event, ev.PendingLoaded):
            self.loaded.append(event)
        return [ev.LoadPending(principal="ann")] if isinstance(event, ev.NetworkChanged) else []


async def test_a_store_that_cannot_be_read_is_left(tmp_path: Path) -> None:
    """Somebody signs in, and what waits for him can't be read: it goes on, and can be closed."""
    path, machine = tmp_path / "store", _Asking()
    shell = Shell(
        machine, lambda dispatch: Connection("http://127.0.0.1:9", None, dispatch),
        SqliteStore(path), ManualClock(), lambda commands: None,
    )  # fmt: skip
    await shell.start("c1")
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO pending (op_id, mutation) VALUES ('o1', '{')")
    raw.commit()
    raw.close()
    shell.dispatch(ev.NetworkChanged(is_online=True))
    async with asyncio.timeout(10):
        await shell.stop()
    assert [one.pending for one in machine.loaded] == [[]]
    assert not shell.is_persistent
