"""A replica in a SQLite file: rows, cursor and subscription states in one transaction (I24).

One program at a time opens a store. What does not live here: what is written when (`machine`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any, Final

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.pending import PendingMutation
from pylon.client.rows import Save, StoredReplica
from pylon.client.store import Kept, StoreCommand
from pylon.client.subscription import Subscription
from pylon.errors import Unavailable
from pylon.protocol.manifest import Manifest
from pylon.sqlite import THREADS, Connection, Engine, Error, RawConnection

#: Rises when the tables change; a store of another format is emptied but for what waits.
FORMAT: Final = 1
#: Marks a SQLite file as a store: "Pyls".
_APPLICATION_ID: Final = 0x50796C73
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS rows (entity TEXT NOT NULL, id TEXT NOT NULL, row BLOB NOT NULL,"
    " PRIMARY KEY (entity, id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS pending (place INTEGER PRIMARY KEY, op_id TEXT NOT NULL UNIQUE,"
    " mutation BLOB NOT NULL)",
)
_PUT = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class SqliteStore:
    """A store in a file of its own, which only its owner can read."""

    def __init__(self, path: Path | str, *, engine: Engine = THREADS) -> None:
        self._path = Path(path)
        self._engine = engine
        self._connection: Connection

    async def open(self, client_id: str, caller: str | None = None) -> Kept:
        """Open or create the file; return what it holds for this caller.

        Raises Unavailable for a file that is none of ours, or is damaged; it is left as it is.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        if self._path.stat().st_size == 0:
            self._path.chmod(0o600)  # before the files beside it, which get its mode
        try:
            self._connection = await self._engine.open_writer(self._path, synchronous="NORMAL")
        except Error as error:
            raise Unavailable(f"{self._path} is no store: {error}", reason="store") from error
        try:
            kept = await self._connection.run(lambda raw: _load(raw, client_id, caller))
        except _UNREADABLE as error:
            await self._connection.close()
            raise Unavailable(
                f"{self._path} can't be read as a store: {error}",
                hint="move it away; the replica is fetched anew",
                reason="store",
            ) from error
        for one in (self._path, *self._path.parent.glob(f"{escape(self._path.name)}-*")):
            one.chmod(0o600)  # ours, but perhaps copied here by somebody
        return kept

    async def write(self, commands: Sequence[StoreCommand]) -> None:
        """Carry out commands in one transaction; raises Unavailable where the disk refuses."""

        def work(raw: RawConnection) -> None:
            raw.execute("BEGIN IMMEDIATE")
            try:
                for command in commands:
                    _carry_out(raw, command)
                raw.execute("COMMIT")
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
            if any(isinstance(one, ev.Wipe) for one in commands):
                # Nothing of another principal stays in the file, in no free page and no log.
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        try:
            await self._connection.run(work)
        except Error as error:
            raise Unavailable(f"{self._path}: {error}", reason="store") from error

    async def pending_of(self, principal: str | None) -> list[PendingMutation]:
        """Return a principal's mutations, in the order made; raises Unavailable, as `write`."""
        try:
            return await self._connection.run(lambda raw: _pending_of(raw, principal))
        except _UNREADABLE as error:
            raise Unavailable(f"{self._path}: {error}", reason="store") from error

    async def close(self) -> None:
        """Close the file."""
        await self._connection.close()


class _NoStore(Exception):
    """A database of somebody else."""


#: What a file that is damaged, or was edited, may raise.
_UNREADABLE = (
    Error, msgspec.MsgspecError, _NoStore, ValueError, TypeError, LookupError, AttributeError
)  # fmt: skip


def _claim(raw: RawConnection) -> None:
    marked = raw.execute("PRAGMA application_id").fetchone()[0]
    has_tables = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if marked != _APPLICATION_ID and has_tables:
        raise _NoStore("it is a database of something else")
    raw.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    raw.execute("PRAGMA secure_delete = ON").fetchall()
    raw.execute("PRAGMA wal_autocheckpoint = 1000")  # nobody else copies this file's WAL back


def _load(raw: RawConnection, client_id: str, caller: str | None) -> Kept:
    _claim(raw)
    raw.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        raw.execute(statement)
    found: dict[str, bytes] = dict(raw.execute("SELECT key, value FROM meta").fetchall())
    is_other = caller is not None and found.get("caller") not in (None, caller.encode())
    if is_other or found.get("format") not in (None, b"%d" % FORMAT):
        _empty(raw)
        found.pop("principal", None)
    if caller is not None:
        raw.execute(_PUT, ("caller", caller.encode()))
    raw.execute(_PUT, ("format", b"%d" % FORMAT))
    if "client_id" not in found:
        raw.execute(_PUT, ("client_id", client_id.encode()))
        found["client_id"] = client_id.encode()
    raw.execute("COMMIT")
    if is_other:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    kept = Kept(
        client_id=found["client_id"].decode(),
        manifest=_decoded(found.get("manifest"), Manifest),
    )
    if "principal" not in found:
        return kept
    principal: str | None = jsonvalue.decode_trusted(found["principal"])
    rows = raw.execute("SELECT entity, row FROM rows ORDER BY entity, id").fetchall()
    stored = StoredReplica(
        cursor=found["cursor"].decode() if "cursor" in found else None,
        rows=[(entity, jsonvalue.decode_trusted(row)) for entity, row in rows],
        subscriptions=_decoded(found.get("subscriptions", b"[]"), list[Subscription]),
    )
    return msgspec.structs.replace(
        kept, principal=principal, replica=stored, pending=_pending_of(raw, principal)
    )


def _decoded(text: bytes | None, kind: Any) -> Any:
    return msgspec.UNSET if text is None else msgspec.json.decode(text, type=kind)


def _carry_out(raw: RawConnection, command: StoreCommand) -> None:
    match command:
        case ev.SaveReplica(save=save):
            _save(raw, save)
        case ev.Wipe(principal=principal):
            _empty(raw)
            raw.execute(_PUT, ("principal", jsonvalue.encode(principal)))
        case ev.SavePending(mutation=mutation):
            # What is saved again keeps its place in the order.
            raw.execute(
                "INSERT INTO pending (op_id, mutation) VALUES (?, ?)"
                " ON CONFLICT (op_id) DO UPDATE SET mutation = excluded.mutation",
                (mutation.op_id, jsonvalue.encode(mutation)),
            )
        case ev.DropPending(op_id=op_id):
            raw.execute("DELETE FROM pending WHERE op_id = ?", (op_id,))
        case ev.ManifestKnown(manifest=manifest):
            raw.execute(_PUT, ("manifest", jsonvalue.encode(manifest)))


def _save(raw: RawConnection, save: Save) -> None:
    if save.reset:
        raw.execute("DELETE FROM rows")
    raw.executemany("DELETE FROM rows WHERE entity = ? AND id = ?", save.deletes)
    raw.executemany(
        "INSERT INTO rows VALUES (?, ?, ?)"
        " ON CONFLICT (entity, id) DO UPDATE SET row = excluded.row",
        [(entity, row["id"], jsonvalue.encode(row)) for entity, row in save.puts],
    )
    if save.cursor is None:
        raw.execute("DELETE FROM meta WHERE key = 'cursor'")
    else:
        raw.execute(_PUT, ("cursor", save.cursor.encode()))
    raw.execute(_PUT, ("subscriptions", jsonvalue.encode(save.subscriptions)))


def _empty(raw: RawConnection) -> None:
    raw.execute("DELETE FROM rows")
    raw.execute("DELETE FROM meta WHERE key IN ('cursor', 'subscriptions', 'principal')")


def _pending_of(raw: RawConnection, principal: str | None) -> list[PendingMutation]:
    found = raw.execute("SELECT mutation FROM pending ORDER BY place").fetchall()
    read = [msgspec.json.decode(text, type=PendingMutation) for (text,) in found]
    return [one for one in read if one.principal == principal]
