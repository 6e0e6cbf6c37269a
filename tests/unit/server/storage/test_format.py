"""A database of an older release gets what came after it, and keeps its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pylon.server.storage import system_tables
from pylon.server.storage.database import DATABASE_NAME
from tests.unit.server.storage.conftest import open_database


async def test_an_older_format_is_brought_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing table and a new column are added to an old file; what was in it stays."""
    database = await open_database(tmp_path)
    epoch = database.epoch
    await database.close()
    with sqlite3.connect(tmp_path / DATABASE_NAME) as raw:
        raw.execute("DROP TABLE _pylon_clients")
        raw.execute("UPDATE _pylon_meta SET value = 1 WHERE key = 'format'")
    raw.close()
    column = ("_pylon_codes", "colour", "TEXT NOT NULL DEFAULT 'red'")
    monkeypatch.setattr(system_tables, "ADDED_COLUMNS", (column,))

    database = await open_database(tmp_path)
    assert database.epoch == epoch
    await database.close()
    with sqlite3.connect(tmp_path / DATABASE_NAME) as raw:
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
        columns = [row[1] for row in raw.execute("PRAGMA table_info(_pylon_codes)")]
        stored = raw.execute("SELECT value FROM _pylon_meta WHERE key = 'format'").fetchone()
    raw.close()
    assert "_pylon_clients" in names
    assert "colour" in columns
    assert stored == (system_tables.FORMAT,)
