"""Copies and restores that die half way, and files that are no database."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon import paths
from pylon.clock import SystemClock
from pylon.errors import ResyncRequired
from pylon.ids import IdSource
from pylon.server.storage import backup
from pylon.server.storage.backup import (
    BackupFailed,
    DatabaseUnusable,
    check,
    make_copy,
    publish,
    verify_file,
)
from pylon.server.storage.database import Database
from pylon.server.storage.folder import FolderInUse
from pylon.server.storage.migrate import migrate
from pylon.server.storage.migration_plan import SchemaUnreadable
from pylon.server.storage.restore import restore
from pylon.server.sync.catch_up import check_cursor
from tests.unit.server.storage.conftest import SCHEMA, fill, open_database


class Died(BaseException):
    """The process ended here."""


async def _copied(database: Database, target: Path) -> None:
    copy, _ = await make_copy(database.path, target.parent, is_live=True)
    publish(copy, target)


def _names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as raw, raw:
        return {name for (name,) in raw.execute("SELECT name FROM Box")}


@pytest.mark.parametrize("step", range(12))
async def test_a_restore_that_dies_leaves_the_old_or_the_new(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its steps: the database in place is whole, and is one of the two."""
    folder, copy = tmp_path / ".pylon", tmp_path / "copy.db"
    database = await open_database(folder)
    await migrate(database, SCHEMA)
    await fill(database)
    await _copied(database, copy)
    await database.writer.submit(lambda tx: tx.execute("UPDATE Box SET name = 'later'"))
    await database.close()
    left = [step]

    def dying(module: Any, name: str) -> None:
        real = getattr(module, name)

        def called(*given: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Died
            left[0] -= 1
            return real(*given, **named)

        monkeypatch.setattr(module, name, called)

    for module, name in ((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (Path, "chmod"),
                         (os, "link"), (os, "fsync"), (paths, "sync_folder")):  # fmt: skip
        dying(module, name)
    is_done = False
    try:
        await restore(copy, folder, SystemClock())
        is_done = True
    except Died:
        pass
    monkeypatch.undo()
    before = _names(folder / "app.db")
    assert before in ({"later"}, {"box 0", "box 2", "box 3"})
    assert not is_done or before != {"later"}
    again = await open_database(folder)
    assert {row[0] for row in again.readers.inline.rows("SELECT name FROM Box")} == before
    await again.close()


async def test_a_restored_database_is_another_history(tmp_path: Path) -> None:
    """By itself, without a witness: a cursor of the old history is one of another epoch (I91)."""
    folder, copy = tmp_path / ".pylon", tmp_path / "copy.db"
    database = await open_database(folder)
    await migrate(database, SCHEMA)
    await fill(database)
    before = database.cursor()
    await _copied(database, copy)
    await database.close()
    clock = SystemClock()
    await restore(copy, folder, clock)
    again = await Database.open(folder, clock=clock, ids=IdSource(clock, secrets.token_bytes))
    assert again.epoch != before.epoch
    assert again.head == before.seq
    with pytest.raises(ResyncRequired) as told:
        check_cursor(before, again.epoch, again.head, again.horizon)
    assert told.value.details["reason"] == "epoch_changed"
    await again.close()


@pytest.mark.parametrize("is_older", [False, True])
async def test_no_way_in_comes_back_with_a_backup(tmp_path: Path, is_older: bool) -> None:
    """Sessions, codes, departures and mails of such end (I91), also in an older release's file."""
    folder, copy = tmp_path / ".pylon", tmp_path / "copy.db"
    database = await open_database(folder)
    await migrate(database, SCHEMA)
    await _copied(database, copy)
    await database.close()
    with closing(sqlite3.connect(copy)) as raw, raw:
        raw.execute("INSERT INTO _pylon_sessions (id, hash, user_id, kind, created_at, expires_at)"
                    " VALUES ('s', x'00', 'u', 'token', 1, 9e15)")  # fmt: skip
        raw.execute("INSERT INTO _pylon_codes (id, email, hash, created_at, expires_at)"
                    " VALUES ('c', 'a@example.com', x'00', 1, 9e15)")  # fmt: skip
        raw.execute("INSERT INTO _pylon_departures VALUES (x'01', 'p', x'02', 'v', 'n', '/', '/',"
                    " NULL, 1)")  # fmt: skip
        for job, is_secret in (("mail", 1), ("work", 0)):
            raw.execute("INSERT INTO _pylon_jobs (id, name, queue, state, args, principal, due_at,"
                        " retries, created_at, is_secret)"
                        " VALUES (?, 'j', 'q', 'available', '{}', 'system', 1, 1, 1, ?)",
                        (job, is_secret))  # fmt: skip
        if is_older:
            raw.execute("DROP TABLE _pylon_departures")
    await restore(copy, folder, SystemClock())
    await (await open_database(folder)).close()
    with closing(sqlite3.connect(folder / "app.db")) as raw:
        for table in ("_pylon_sessions", "_pylon_codes", "_pylon_departures"):
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert raw.execute("SELECT id FROM _pylon_jobs").fetchall() == [("work",)]


async def test_a_damaged_database_is_kept_with_its_journal(
    filled: Database, tmp_path: Path
) -> None:
    """What cannot be opened any more is set aside as it lies, and never meets the new file."""
    copy, folder = tmp_path / "copy.db", tmp_path / "other"
    await _copied(filled, copy)
    folder.mkdir()
    (folder / "app.db").write_bytes(b"garbage" * 1_000)
    (folder / "app.db-wal").write_bytes(b"journal")
    restored = await restore(copy, folder, SystemClock())
    assert restored.kept is not None
    assert restored.kept.read_bytes() == b"garbage" * 1_000
    assert restored.kept.with_name(restored.kept.name + "-wal").read_bytes() == b"journal"
    assert _names(folder / "app.db") == {"box 0", "box 2", "box 3"}


async def test_a_folder_in_use_is_left_alone(filled: Database, tmp_path: Path) -> None:
    """Whoever owns the folder keeps it."""
    copy = tmp_path / "copy.db"
    await _copied(filled, copy)
    before = filled.path.read_bytes()
    with pytest.raises(FolderInUse):
        await restore(copy, filled.folder, SystemClock())
    assert filled.path.read_bytes() == before


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scratched(path: Path) -> None:
    with path.open("r+b") as stream:
        for page in range(3, 8):
            stream.seek(page * 4096)
            stream.write(b"\xff" * 64)


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE _pylon_meta SET value = 999 WHERE key = 'format'")


def _other(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE x (y)")


@pytest.mark.parametrize(
    "harm",
    [_cut, _scratched, _newer, _other, Path.unlink, lambda path: path.write_bytes(b""),
     lambda path: path.write_bytes(b"text" * 999)],
    ids=["cut", "scratched", "newer", "other", "gone", "empty", "text"],
)  # fmt: skip
async def test_what_is_no_sound_database_is_refused(
    filled: Database, tmp_path: Path, harm: Any
) -> None:
    """Nothing of the folder changes, and nothing is created beside the file."""
    place = tmp_path / "place"
    place.mkdir()
    copy = place / "copy.db"
    await _copied(filled, copy)
    await check(copy)
    harm(copy)
    folder = tmp_path / "other"
    with pytest.raises(DatabaseUnusable):
        await check(copy)
    with pytest.raises(DatabaseUnusable):
        await restore(copy, folder, SystemClock())
    assert [one.name for one in place.iterdir()] in ([], ["copy.db"])
    assert [one.name for one in folder.iterdir()] == ["lock"]


async def test_a_copy_that_can_not_be_written_leaves_nothing(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or a copy that differs, is said; no file stays."""
    place = tmp_path / "place"
    place.mkdir()

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(backup, "copy_into", full)
        with pytest.raises(BackupFailed, match="full"):
            await make_copy(filled.path, place, is_live=True)
    real = backup.copy_into

    def lossy(source: Any, path: Path, *more: Any) -> None:
        real(source, path, *more)
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("DELETE FROM Item WHERE id = 'i0'")

    with monkeypatch.context() as patch:
        patch.setattr(backup, "copy_into", lossy)
        with pytest.raises(DatabaseUnusable, match="does not hold"):
            await make_copy(filled.path, place, is_live=True)
    assert list(place.iterdir()) == []


async def test_old_remains_are_swept(filled: Database, tmp_path: Path) -> None:
    """A copy that was interrupted long ago goes; one that may be under way stays."""
    old, young = tmp_path / ".copy-a.partial", tmp_path / ".copy-b.partial"
    for one in (old, young, tmp_path / "mine.partial"):
        one.touch()
    os.utime(old, (0, 0))
    os.utime(tmp_path / "mine.partial", (0, 0))
    backup.sweep(tmp_path, SystemClock())
    assert not old.exists()
    assert young.exists()
    assert (tmp_path / "mine.partial").exists()


HOSTILE = {
    "a number that is none": "UPDATE _pylon_meta SET value = 'abc' WHERE key = 'format'",
    "bytes for texts": "UPDATE _pylon_meta SET value = x'ff'",
    "a schema that is none": "UPDATE _pylon_meta SET value = '{' WHERE key = 'schema'",
    "a schema of another shape": "UPDATE _pylon_meta SET value = '[1]' WHERE key = 'schema'",
    "other columns": "ALTER TABLE _pylon_meta RENAME COLUMN value TO worth",
}


async def _foreign(tmp_path: Path, *statements: str) -> Path:
    """Return a copy of a database, edited by somebody else."""
    database = await open_database(tmp_path / "source")
    await migrate(database, SCHEMA)
    await fill(database)
    copy = tmp_path / "copy.db"
    await _copied(database, copy)
    await database.close()
    with closing(sqlite3.connect(copy)) as raw, raw:
        for statement in statements:
            raw.execute(statement)
    return copy


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE)
async def test_a_file_that_was_edited_is_unusable_and_not_a_fault_of_ours(
    tmp_path: Path, statement: str
) -> None:
    """Whatever stands in our own tables, `verify` says that in a sentence."""
    copy = await _foreign(tmp_path, statement)
    with pytest.raises(DatabaseUnusable):
        await verify_file(copy, is_live=False)


@pytest.mark.parametrize(
    "schema",
    ["[]", '{"Box": {}}', "no JSON", '{"a\\" (x); --": {"fields": [], "indexes": []}}',
     '{"Box": {"fields": [], "indexes": [{"name": "a b", "fields": [], "unique": true}]}}'],
)  # fmt: skip
async def test_a_schema_that_nobody_wrote_takes_no_place(tmp_path: Path, schema: str) -> None:
    """Its names would go into statements at the next start, which could only fail."""
    copy = await _foreign(
        tmp_path, f"UPDATE _pylon_meta SET value = '{schema}' WHERE key = 'schema'"
    )
    with pytest.raises(DatabaseUnusable, match="none that Pylon wrote"):
        await verify_file(copy, is_live=False)
    with pytest.raises(SchemaUnreadable, match="none that Pylon wrote"):
        await restore(copy, tmp_path / "place", SystemClock())
    assert sorted(one.name for one in (tmp_path / "place").iterdir()) == ["lock"]


async def test_names_of_foreign_tables_are_no_statements(tmp_path: Path) -> None:
    """A table's name is data of the file."""
    copy = await _foreign(tmp_path, 'CREATE TABLE "a""; DROP TABLE Box; --" (x)')
    held, faults = await verify_file(copy, is_live=False)
    assert held.rows['a"; DROP TABLE Box; --'] == 0
    assert not faults


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER helps AFTER INSERT ON _pylon_sessions BEGIN DELETE FROM Box; END",
        "CREATE VIEW helps AS SELECT 1",
    ],
)
async def test_a_copy_with_statements_of_its_own_is_refused(tmp_path: Path, statement: str) -> None:
    """A trigger would write whenever we do, past policies and log: verify names it, no restore."""
    copy = await _foreign(tmp_path, statement)
    _, faults = await verify_file(copy, is_live=False)
    assert len(faults) == 1
    assert "helps" in faults[0]
    with pytest.raises(DatabaseUnusable, match="helps"):
        await restore(copy, tmp_path / "place", SystemClock())
    assert sorted(one.name for one in (tmp_path / "place").iterdir()) == ["lock"]
