"""Files as the database knows them: what each is, and which fields of which rows own it.

A file is *fresh* until a row owns it, *owned* while one does, and *released* when the last one let
go of it: then nobody reads it any more, and it is removed a while later. The bytes lie elsewhere
(`pylon.server.files`), by their hash; files with the same bytes share them and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pylon import jsonvalue
from pylon.schema.files import file_object
from pylon.schema.model import Entity, FieldKind, Row, Schema
from pylon.sqlite import RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.transaction import Transaction

#: What the log calls files; no entity of an app has such a name.
LOG_NAME: Final = "_pylon_files"
FRESH, OWNED, RELEASED = "fresh", "owned", "released"
_COLUMNS: Final = "id, sha256, size, type, name, uploader, created_at, state, since"
_SELECT: Final = f"SELECT {_COLUMNS} FROM _pylon_files"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file; times are Unix ms, `since` is when it came into its state."""

    id: str
    sha256: str
    size: int
    type: str
    name: str
    #: The principal that brought it; None for an anonymous caller, and for one who is gone.
    uploader: str | None
    created_at: int
    state: str
    since: int

    def to_object(self) -> dict[str, Any]:
        """Return the file object that fields hold and clients read."""
        return file_object(self.id, self.size, self.type, self.sha256, self.name)


@dataclass(frozen=True, slots=True)
class Owner:
    """A field of a row that holds a file."""

    entity: str
    row_id: str
    field: str


def find(connection: RawConnection, file_id: str) -> StoredFile | None:
    """Return a file, or None."""
    row = connection.execute(f"{_SELECT} WHERE id = ?", (file_id,)).fetchone()
    return None if row is None else StoredFile(*row)


def owners_of(connection: RawConnection, file_id: str) -> list[Owner]:
    """Return the fields that hold a file."""
    return [
        Owner(*row)
        for row in connection.execute(
            "SELECT entity, row_id, field FROM _pylon_file_owners WHERE file_id = ?"
            " ORDER BY entity, row_id, field",
            (file_id,),
        ).fetchall()
    ]


def add(transaction: Transaction, stored: StoredFile) -> None:
    """Record a new file, and that it came, in the log."""
    transaction.execute(
        f"INSERT INTO _pylon_files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            stored.id, stored.sha256, stored.size, stored.type, stored.name, stored.uploader,
            stored.created_at, stored.state, stored.since,
        ),
    )  # fmt: skip
    text = jsonvalue.encode_text(stored.to_object())
    transaction.append_fact(LOG_NAME, stored.id, "insert", None, text)


def remove(transaction: Transaction, stored: StoredFile) -> None:
    """Forget a file, and log it; the bytes go when no other file has them."""
    transaction.execute("DELETE FROM _pylon_files WHERE id = ?", (stored.id,))
    transaction.execute("DELETE FROM _pylon_file_owners WHERE file_id = ?", (stored.id,))
    text = jsonvalue.encode_text(stored.to_object())
    transaction.append_fact(LOG_NAME, stored.id, "delete", text, None)


# --- who owns what: kept by every write of a row -------------------------------------------


def attach(connection: RawConnection, row: Row, owner: Owner, now_ms: int) -> None:
    """Note that a field holds a file from now on."""
    file_id = row[owner.field]["id"]
    connection.execute(
        "INSERT OR IGNORE INTO _pylon_file_owners VALUES (?, ?, ?, ?)",
        (file_id, owner.entity, owner.row_id, owner.field),
    )
    connection.execute(
        "UPDATE _pylon_files SET state = 'owned', since = ? WHERE id = ? AND state <> 'owned'",
        (now_ms, file_id),
    )


def detach(connection: RawConnection, row: Row, owner: Owner, now_ms: int) -> None:
    """Note that a field holds a file no longer; the last one to let go releases it."""
    file_id = row[owner.field]["id"]
    connection.execute(
        "DELETE FROM _pylon_file_owners WHERE file_id = ? AND entity = ? AND row_id = ?"
        " AND field = ?",
        (file_id, owner.entity, owner.row_id, owner.field),
    )
    connection.execute(
        "UPDATE _pylon_files SET state = 'released', since = ? WHERE id = ? AND NOT EXISTS"
        " (SELECT 1 FROM _pylon_file_owners WHERE file_id = ?)",
        (now_ms, file_id, file_id),
    )


def move(
    connection: RawConnection, entity: Entity, fields: tuple[str, ...], before: Row | None,
    after: Row | None, now_ms: int,
) -> None:  # fmt: skip
    """Have the owners follow a write of a row: one that came, changed, or went (after: None)."""
    row_id = (before if after is None else after)["id"]  # type: ignore[index]
    for name in fields:
        old = None if before is None else before[name]
        new = None if after is None else after[name]
        if (old and old["id"]) == (new and new["id"]):
            continue
        owner = Owner(entity.name, row_id, name)
        if new is not None and after is not None:
            attach(connection, after, owner, now_ms)
        if old is not None and before is not None:
            detach(connection, before, owner, now_ms)


def rebuild_owners(connection: RawConnection, schema: Schema, now_ms: int) -> None:
    """Work out anew, from the rows, who owns what: a migration moved fields or dropped tables."""
    connection.execute("DELETE FROM _pylon_file_owners")
    for entity, name in _file_fields(schema):
        connection.execute(
            "INSERT OR IGNORE INTO _pylon_file_owners"
            f' SELECT json_extract("{name}", \'$.id\'), ?, "id", ? FROM "{entity.name}"'
            f' WHERE "{name}" IS NOT NULL',
            (entity.name, name),
        )
    owned = "EXISTS (SELECT 1 FROM _pylon_file_owners AS o WHERE o.file_id = _pylon_files.id)"
    for state, where in (
        ("owned", f"state <> 'owned' AND {owned}"), ("released", f"state = 'owned' AND NOT {owned}")
    ):  # fmt: skip
        connection.execute(
            f"UPDATE _pylon_files SET state = ?, since = ? WHERE {where}", (state, now_ms)
        )


def _file_fields(schema: Schema) -> Iterator[tuple[Entity, str]]:
    for entity in schema.entities.values():
        for field in entity.fields:
            if field.kind is FieldKind.FILE:
                yield entity, field.name


# --- what is to go, and what is there -------------------------------------------------------


def overdue(
    connection: RawConnection, *, fresh_before: int, released_before: int, limit: int
) -> list[StoredFile]:
    """Return files to be removed: never owned for too long, or released a while ago."""
    rows = connection.execute(
        f"{_SELECT} WHERE (state = 'fresh' AND since < ?) OR (state = 'released' AND since < ?)"
        " LIMIT ?",
        (fresh_before, released_before, limit),
    ).fetchall()
    return [StoredFile(*row) for row in rows]


def is_used(connection: RawConnection, sha256: str) -> bool:
    """Tell whether a file has these bytes."""
    found = connection.execute("SELECT 1 FROM _pylon_files WHERE sha256 = ? LIMIT 1", (sha256,))
    return found.fetchone() is not None


def hashes(connection: RawConnection) -> dict[str, int]:
    """Return the size of the bytes by hash, of all files."""
    return dict(connection.execute("SELECT sha256, size FROM _pylon_files").fetchall())


def hashes_of_any(connection: RawConnection) -> dict[str, int]:
    """Return the same of a database that may be of a release without files."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_pylon_files'").fetchone()
    return hashes(connection) if found is not None else {}


def used_bytes(connection: RawConnection, uploader: str | None) -> int:
    """Return the bytes that a principal brought, or began to bring; None: anonymous callers."""
    (total,) = connection.execute(
        "SELECT (SELECT coalesce(sum(size), 0) FROM _pylon_files WHERE uploader IS ?)"
        " + (SELECT coalesce(sum(length), 0) FROM _pylon_uploads WHERE uploader IS ?"
        " AND file IS NULL)",
        (uploader, uploader),
    ).fetchone()
    return int(total)


def all_bytes(connection: RawConnection) -> int:
    """Return the bytes of all files, counted whole, and of uploads that were begun."""
    (total,) = connection.execute(
        "SELECT (SELECT coalesce(sum(size), 0) FROM _pylon_files)"
        " + (SELECT coalesce(sum(length), 0) FROM _pylon_uploads WHERE file IS NULL)"
    ).fetchone()
    return int(total)


def release(transaction: Transaction, file_id: str) -> None:
    """Have nobody read a file any more; it is removed a while later."""
    transaction.execute(
        "UPDATE _pylon_files SET state = 'released', since = ? WHERE id = ?",
        (transaction.now_ms, file_id),
    )


# --- uploads in pieces -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in pieces; `kept` are the bytes that survive a crash of the machine."""

    id: str
    uploader: str | None
    name: str
    type: str
    length: int
    kept: int
    expires_at: int
    #: The file object, once it is complete.
    file: dict[str, Any] | None


_UPLOAD: Final = (
    "SELECT id, uploader, name, type, length, kept, expires_at, file FROM _pylon_uploads"
)


def _upload(row: tuple[Any, ...]) -> Upload:
    file = None if row[7] is None else jsonvalue.decode_trusted(row[7])
    return Upload(row[0], row[1], row[2], row[3], row[4], row[5], row[6], file)


def find_upload(connection: RawConnection, upload_id: str) -> Upload | None:
    """Return an upload in pieces, or None."""
    row = connection.execute(f"{_UPLOAD} WHERE id = ?", (upload_id,)).fetchone()
    return None if row is None else _upload(row)


def open_uploads(connection: RawConnection) -> list[Upload]:
    """Return all uploads that are not complete."""
    rows = connection.execute(f"{_UPLOAD} WHERE file IS NULL").fetchall()
    return [_upload(row) for row in rows]


def begin_upload(transaction: Transaction, upload: Upload) -> None:
    """Record an upload in pieces."""
    transaction.execute(
        "INSERT INTO _pylon_uploads VALUES (?, ?, ?, ?, ?, 0, ?, NULL)",
        (
            upload.id, upload.uploader, upload.name, upload.type, upload.length,
            upload.expires_at,
        ),
    )  # fmt: skip


def keep_upload(transaction: Transaction, upload_id: str, kept: int, expires_at: int) -> None:
    """Record how far an upload has come."""
    transaction.execute(
        "UPDATE _pylon_uploads SET kept = ?, expires_at = ? WHERE id = ? AND file IS NULL",
        (kept, expires_at, upload_id),
    )


def end_upload(transaction: Transaction, upload_id: str, file: dict[str, Any]) -> None:
    """Record which file an upload became."""
    transaction.execute(
        "UPDATE _pylon_uploads SET kept = length, file = ? WHERE id = ?",
        (jsonvalue.encode_text(file), upload_id),
    )


def drop_upload(transaction: Transaction, upload_id: str) -> None:
    """Forget an upload."""
    transaction.execute("DELETE FROM _pylon_uploads WHERE id = ?", (upload_id,))


def expired_uploads(connection: RawConnection, now_ms: int, limit: int) -> list[str]:
    """Return the ids of uploads whose time is over."""
    rows = connection.execute(
        "SELECT id FROM _pylon_uploads WHERE expires_at < ? LIMIT ?", (now_ms, limit)
    ).fetchall()
    return [row[0] for row in rows]


def count_uploads(connection: RawConnection, uploader: str | None) -> int:
    """Return how many uploads of a principal are not complete."""
    (count,) = connection.execute(
        "SELECT count(*) FROM _pylon_uploads WHERE uploader IS ? AND file IS NULL", (uploader,)
    ).fetchone()
    return int(count)


def forget_principal(transaction: Transaction, principal: str) -> None:
    """Have nobody be known as who brought a file, where he is gone; what no row owns goes too."""
    transaction.execute(
        "UPDATE _pylon_files SET state = 'released', since = ? WHERE uploader = ?"
        " AND state = 'fresh'",
        (transaction.now_ms, principal),
    )
    transaction.execute("UPDATE _pylon_files SET uploader = NULL WHERE uploader = ?", (principal,))
    # Open ones end at the next sweep, with their bytes.
    transaction.execute(
        "UPDATE _pylon_uploads SET uploader = '', expires_at = 0 WHERE uploader = ?", (principal,)
    )
