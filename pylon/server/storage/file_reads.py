"""Files as the owner of an app looks at them: pages by size or age, totals, open uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pylon.server.storage.files import StoredFile, Upload, open_uploads
from pylon.server.storage.search_line import condition_of
from pylon.sqlite import RawConnection

#: What a page can be ordered by, the greatest first.
ORDERS: Final = {"newest": "created_at", "largest": "size"}
STATES: Final = ("fresh", "owned", "released")
#: What a search line names, and the text that it looks at.
_SEARCHED: Final = {
    "name": "name", "type": "type", "state": "state", "user":
    "coalesce((SELECT a.email FROM _pylon_accounts AS a WHERE a.id = uploader), uploader, '')",
    "entity": "coalesce((SELECT group_concat(o.entity) FROM _pylon_file_owners AS o"
              " WHERE o.file_id = _pylon_files.id), '')",
}  # fmt: skip
_MORE: Final = (
    "id", "sha256", "coalesce(uploader, '')",
    "coalesce((SELECT group_concat(o.entity || '/' || o.row_id || '.' || o.field)"
    " FROM _pylon_file_owners AS o WHERE o.file_id = _pylon_files.id), '')",
)  # fmt: skip
#: What the list shows under other names, or words without a name don't look at.
_ONLY: Final = {
    "by": _SEARCHED["user"], "sha256": "sha256", "id": "id",
    "size": "CASE WHEN size < 1024 THEN size || ' B'"
            " WHEN size < 1048576 THEN printf('%.1f KiB', size / 1024.0)"
            " WHEN size < 1073741824 THEN printf('%.1f MiB', size / 1048576.0)"
            " ELSE printf('%.1f GiB', size / 1073741824.0) END",
    "in": "coalesce((SELECT group_concat(o.entity || '.' || o.field || ' ' || o.row_id)"
          " FROM _pylon_file_owners AS o WHERE o.file_id = _pylon_files.id), '')",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuery:
    """Which files, in which order, behind which one."""

    state: str | None = None
    uploader: str | None = None
    entity: str | None = None
    text: str | None = None
    #: Words in name, type, id, hash, who brought it, and where it is; `user:x`; `!` turns it round.
    search: str = ""
    order: str = "newest"
    #: (value of the order, id) of the last file of the page before.
    after: tuple[int, str] | None = None
    limit: int = 100


def list_files(connection: RawConnection, query: FileQuery) -> list[StoredFile]:
    """Return a page of files."""
    column = ORDERS[query.order]
    terms: list[tuple[str, tuple[Any, ...]]] = []
    if query.state is not None:
        terms.append(("state = ?", (query.state,)))
    if query.uploader is not None:
        terms.append(("uploader = ?", (query.uploader,)))
    if query.entity is not None:
        terms.append(
            ("EXISTS (SELECT 1 FROM _pylon_file_owners AS o WHERE o.file_id = id"
             " AND o.entity = ?)", (query.entity,))
        )  # fmt: skip
    if query.text is not None:
        terms.append(("(instr(lower(name), lower(?)) > 0 OR type LIKE ? || '%' OR id = ?)",
                      (query.text, query.text, query.text)))  # fmt: skip
    if query.after is not None:
        terms.append((f"({column}, id) < (?, ?)", query.after))
    condition, words = condition_of(
        query.search, _SEARCHED, _MORE, first=sum(len(values) for _, values in terms) + 1,
        only=_ONLY,
    )  # fmt: skip
    if words:
        terms.append((condition, tuple(words)))
    where = " AND ".join(term for term, _ in terms) or "1"
    params = tuple(value for _, values in terms for value in values)
    rows = connection.execute(
        "SELECT id, sha256, size, type, name, uploader, created_at, state, since FROM _pylon_files"
        f" WHERE {where} ORDER BY {column} DESC, id DESC LIMIT ?",
        (*params, query.limit),
    ).fetchall()
    return [StoredFile(*row) for row in rows]


def totals(connection: RawConnection) -> dict[str, Any]:
    """Return how many files there are and how large, by state; and what lies on disk for them."""
    found: dict[str, Any] = {
        state: {"files": 0, "bytes": 0} for state in STATES
    }  # fmt: skip
    for state, count, size in connection.execute(
        "SELECT state, count(*), sum(size) FROM _pylon_files GROUP BY state"
    ).fetchall():
        found[state] = {"files": count, "bytes": size}
    blobs, stored = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM"
        " (SELECT max(size) AS size FROM _pylon_files GROUP BY sha256)"
    ).fetchone()
    return {
        **found,
        "files": sum(one["files"] for one in found.values()),
        "bytes": sum(one["bytes"] for one in found.values()),
        "blobs": blobs, "stored_bytes": stored,
        "uploads": len(open_uploads(connection)),
    }  # fmt: skip


def by_uploader(connection: RawConnection, limit: int) -> list[tuple[str | None, int, int]]:
    """Return (uploader, files, bytes) of those who brought most."""
    return connection.execute(
        "SELECT uploader, count(*), sum(size) AS bytes FROM _pylon_files GROUP BY uploader"
        " ORDER BY bytes DESC LIMIT ?",
        (limit,),
    ).fetchall()


def newest_uploads(connection: RawConnection, limit: int) -> list[Upload]:
    """Return uploads that are not complete, the newest piece first."""
    return sorted(open_uploads(connection), key=lambda one: -one.expires_at)[:limit]
