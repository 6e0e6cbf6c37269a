"""What the writer says to SQLite between batches: commit, copy the WAL back, prove it can write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pylon.sqlite import Connection, Error, RawConnection

_log = logging.getLogger("pylon.storage")


async def commit(connection: Connection) -> None:
    """Commit on the connection's thread; returns when that has ended, also where cancelled."""
    committed = asyncio.ensure_future(connection.run(_commit))
    try:
        await asyncio.shield(committed)
    except asyncio.CancelledError:
        with suppress(Error):
            await committed
        raise


def _commit(raw: RawConnection) -> None:
    raw.execute("COMMIT")


def checkpoint(raw: RawConnection) -> None:
    """Copy back what can be."""
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def prove(raw: RawConnection, now_ms: int) -> None:
    """Commit something of our own: what is only open may still not take a write."""
    raw.execute("BEGIN IMMEDIATE")
    raw.execute(
        "INSERT INTO _pylon_meta VALUES ('proved_at', ?) ON CONFLICT (key) DO UPDATE SET"
        " value = excluded.value",
        (now_ms,),
    )
    raw.execute("COMMIT")


def call(listener: Callable[..., None], *args: Any) -> None:
    """Call a listener; what it throws is logged."""
    try:
        listener(*args)
    except Exception:  # noqa: BLE001 -- it is committed, whatever a listener makes of it
        _log.exception("storage.listener_failed")
