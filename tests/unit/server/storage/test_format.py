"""A database of an older release gets what came after it, and keeps its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pylon.server.storage import system_tables
from pylon.server.storage.folder import DATABASE_NAME
from pylon.server.storage.migrate import migrate
from tests.unit.server.storage.conftest import SCHEMA, fill, open_database

#: Tables that a file of the second format may lack.
_LATER = (
    "passwords", "totp", "recovery", "identities", "departures", "jobs", "queues", "schedules",
)  # fmt: skip


async def test_an_older_format_is_brought_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing table and a new column are added to an old file; what was in it stays."""
    database = await open_database(tmp_path)
    epoch = database.epoch
    await database.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as raw, raw:
        raw.execute("DROP TABLE _pylon_clients")
        raw.execute("UPDATE _pylon_meta SET value = 1 WHERE key = 'format'")
    column = ("_pylon_codes", "colour", "TEXT NOT NULL DEFAULT 'red'")
    monkeypatch.setattr(system_tables, "ADDED_COLUMNS", (column,))

    database = await open_database(tmp_path)
    assert database.epoch == epoch
    await database.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as raw:
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
        columns = [row[1] for row in raw.execute("PRAGMA table_info(_pylon_codes)")]
        stored = raw.execute("SELECT value FROM _pylon_meta WHERE key = 'format'").fetchone()
    assert "_pylon_clients" in names
    assert "colour" in columns
    assert stored == (system_tables.FORMAT,)


@pytest.mark.parametrize("stored", [1, 2, system_tables.FORMAT])
async def test_every_older_file_gets_all_that_is_missing(tmp_path: Path, stored: int) -> None:
    """Whatever its number says: between two releases tables and columns join without one."""
    database = await open_database(tmp_path)
    await migrate(database, SCHEMA)
    await fill(database)
    head = database.head
    await database.close()
    path = tmp_path / DATABASE_NAME
    with closing(sqlite3.connect(path)) as raw:
        whole = _described(raw)
        with raw:
            for name in _LATER:
                raw.execute(f"DROP TABLE _pylon_{name}")
            for table, column, _ in system_tables.ADDED_COLUMNS:
                raw.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
            raw.execute(
                "INSERT INTO _pylon_sessions (id, hash, user_id, kind, created_at, expires_at)"
                " VALUES ('s', x'00', 'u', 'session', 1, 2)"
            )
            raw.execute("UPDATE _pylon_meta SET value = ? WHERE key = 'format'", (stored,))
        assert _described(raw) != whole

    database = await open_database(tmp_path)
    assert database.head == head
    await database.close()
    with closing(sqlite3.connect(path)) as raw:
        assert _described(raw) == whole
        assert raw.execute("SELECT id, scope FROM _pylon_sessions").fetchall() == [("s", None)]
        format_now = raw.execute("SELECT value FROM _pylon_meta WHERE key = 'format'").fetchone()
        assert format_now == (system_tables.FORMAT,)


def _described(raw: sqlite3.Connection) -> dict[str, set[tuple[object, ...]]]:
    """Return the columns of each table of ours, and the names of the indexes."""
    names = raw.execute(
        "SELECT type, name FROM sqlite_master WHERE name LIKE '#_pylon%' ESCAPE '#'"
    )
    return {
        name: {row[1:5] for row in raw.execute(f"PRAGMA table_info({name})")}
        for kind, name in names.fetchall()
    }
