"""Epoch and lineage: is this the database that we left, or an older copy in its place?

At each start a random token is written into the database (keeping the one that the witness has)
and then into the user's state folder. A stored token that is neither of the two, or a head below
the witnessed one, means that history was rolled back: a new epoch begins, and all sessions end
(I16). So does a switch to another branch, each time: sessions go along with whoever has them
(`sessions_of`).
"""

from __future__ import annotations

import logging
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson
from pylon.ids import IdSource
from pylon.server.storage.place import Place, place_of
from pylon.sqlite import Error, RawConnection, read_alone

_log = logging.getLogger("pylon.storage")
_SESSION_COLUMNS = (
    "id, hash, user_id, kind, name, created_at, expires_at, seen_at, device, scope"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lineage:
    """The database's lasting id, its epoch, and whether the epoch began just now."""

    database_id: str
    epoch: str
    is_new_epoch: bool


def meta(connection: RawConnection, key: str) -> str | None:
    """Return a value of `_pylon_meta`."""
    row = connection.execute("SELECT value FROM _pylon_meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: RawConnection, key: str, value: str | int) -> None:
    """Set a value of `_pylon_meta`."""
    connection.execute(
        "INSERT INTO _pylon_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value",
        (key, value),
    )


def _added_key(entity: str, field: str) -> str:
    return f"added:{entity}.{field}"


def field_added_after(connection: RawConnection, entity: str, field: str) -> int | None:
    """Return the head when a migration added a field; None where it came with its table."""
    value = meta(connection, _added_key(entity, field))
    return None if value is None else int(value)


def note_field_added(connection: RawConnection, entity: str, field: str, head: int) -> None:
    """Note that a migration added a field: what rows have in it since then no change wrote."""
    set_meta(connection, _added_key(entity, field), head)


def forget_field_added(connection: RawConnection, entity: str, field: str) -> int | None:
    """Drop what was noted of a field, and return it."""
    noted = field_added_after(connection, entity, field)
    connection.execute("DELETE FROM _pylon_meta WHERE key = ?", (_added_key(entity, field),))
    return noted


class Witness:
    """What the user's state folder remembers of a database: its token and its head."""

    def __init__(self, folder: Path | None, database_id: str) -> None:
        self._path = None if folder is None else folder / f"{database_id}.json"
        self._token = ""

    def read(self) -> tuple[str, int] | None:
        """Return (token, head), or None where there is no witness."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            stored = jsonvalue.parse(self._path.read_bytes())
            return str(stored["token"]), int(stored["head"])
        except (InvalidJson, KeyError, TypeError, ValueError):
            return None

    def write(self, head: int, token: str | None = None) -> None:
        """Remember token and head; the file is replaced whole.

        A new token is on the disk when this returns, as the database's own is; a head follows when
        the system likes: one that is too low only notices less.
        """
        if self._path is None:
            return
        self._token = token if token is not None else self._token
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        descriptor = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(jsonvalue.encode({"token": self._token, "head": head}))
            if token is not None:
                stream.flush()
                os.fsync(descriptor)
        beside.replace(self._path)
        if token is not None:
            paths.sync_folder(self._path.parent)


def settle_lineage(
    connection: RawConnection, ids: IdSource, folder: Path | None, head: int, place: Place, *,
    is_in_use: bool = True,
) -> tuple[Lineage, Witness]:  # fmt: skip
    """Decide the epoch at start, and leave a new token on both sides.

    Args:
        connection: of the database, which is open for writing.
        ids: mint tokens and epochs.
        folder: of the witnesses; None keeps none.
        head: the database's.
        place: which of the project's databases it is, and the switch that led to it.
        is_in_use: it is the one that the project goes by. One that is opened beside it stays what
            it is: its epoch, tokens and sessions are those of its last start.

    The caller commits nothing in between: the database's own token is committed here, before the
    witness is written, so that a crash between the two leaves one that still fits.
    """
    database_id = meta(connection, "database_id")
    is_new = database_id is None
    epoch = meta(connection, "epoch")
    if not is_in_use and database_id is not None and epoch is not None:
        return Lineage(database_id, epoch, is_new_epoch=False), Witness(None, database_id)
    if database_id is None:
        database_id = ids.token_hex(16)
    witness = Witness(folder, database_id)
    seen = witness.read()
    known = {meta(connection, "token"), meta(connection, "token_before")}
    is_rolled_back = seen is not None and (seen[0] not in known or head < seen[1])
    is_switched = place.switch != (meta(connection, "switch") or "")
    is_new_epoch = is_new or epoch is None or is_rolled_back or is_switched
    token = ids.token_hex(16)
    # Without a branch before it (the pointer was removed by hand) nobody's session goes along.
    is_followed = is_switched and place.before != ""
    sessions = sessions_of(place_of(place.data, place.before)) if is_followed else []
    connection.execute("BEGIN IMMEDIATE")
    if is_new:
        set_meta(connection, "database_id", database_id)
    if epoch is None or is_rolled_back or is_switched:
        epoch = ids.token_hex(8)
        set_meta(connection, "epoch", epoch)
        connection.execute("DELETE FROM _pylon_sessions")
        connection.execute("DELETE FROM _pylon_codes")
        set_meta(connection, "switch", place.switch)
        connection.executemany(
            f"INSERT OR IGNORE INTO _pylon_sessions ({_SESSION_COLUMNS})"
            " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE EXISTS"
            " (SELECT 1 FROM _pylon_accounts WHERE id = ?3 AND disabled = 0)",
            [] if is_rolled_back else sessions,
        )
    # The one that the witness has now: it stays known however often the start ends before the
    # witness is written.
    before = seen[0] if seen is not None else meta(connection, "token") or ""
    set_meta(connection, "token_before", before)
    set_meta(connection, "token", token)
    connection.execute("COMMIT")
    witness.write(head, token)
    return Lineage(database_id, epoch, is_new_epoch and not is_new), witness


def sessions_of(before: Place) -> list[tuple[Any, ...]]:
    """Return the sessions and API tokens of the branch that was in use before.

    Whoever is signed in stays so in a branch that knows his account, and what was ended since that
    branch was made stays ended. Where they can't be read, everybody signs in again.
    """
    try:
        with closing(read_alone(before.path)) as raw:
            return raw.execute(
                f"SELECT {_SESSION_COLUMNS} FROM _pylon_sessions WHERE kind IN ('session', 'token')"
            ).fetchall()
    except Error as error:
        _log.warning("storage.sessions_not_carried from %s: %s", before.branch, error)
        return []
