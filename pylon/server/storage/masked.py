"""A copy of a database with pseudonyms in the place of what people wrote: for a masked branch.

Rows stay as many, and refer to each other as before; what is known of people beside them goes: the
log with its images, answers, jobs, runs, mails, clients, and whatever signs somebody in. The file
is written anew, so that no page of it holds what was there. What does not live here: what values
become (`schema.masking`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pylon.schema.masking import NO_BYTES, Masking
from pylon.schema.model import Schema
from pylon.schema.pseudonyms import Pseudonyms
from pylon.schema.wire import wire_text
from pylon.server.storage.accounts import NO_EMAIL
from pylon.server.storage.change_log import read_head
from pylon.server.storage.files import rebuild_owners
from pylon.server.storage.lineage import set_meta
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.search_index import PREFIX
from pylon.server.storage.tables import EntityTable
from pylon.sqlite import RawConnection

_KEY_BYTES: Final = 32
_ROWS_AT_ONCE: Final = 500
_OLD: Final = "_pylon_unmasked"
_OURS: Final = "_pylon_"
#: Tables of our own that are kept; those of them that name people are masked. Every other one is
#: emptied, one that a later release adds among them.
_KEPT: Final = frozenset(
    {"_pylon_meta", "_pylon_accounts", "_pylon_schedules", "_pylon_queues", "_pylon_migrations",
     "_pylon_files", "_pylon_file_owners"}
)  # fmt: skip
_Change = Callable[[tuple[Any, ...]], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """How a branch is masked."""

    #: Fields that stay as they are, as `Entity.field`.
    keep: tuple[str, ...] = ()
    #: Texts that stay, since they stand in the app's code.
    literals: frozenset[str] = frozenset()


def mask_database(raw: RawConnection, mask: Mask, now_ms: int, tick: Callable[[], None]) -> None:
    """Mask a database file that nobody else has open.

    `tick` is called now and then; what it raises ends the work.

    Raises NotFound for a field that is to be kept, InvalidArgument where no other value would do.
    """
    schema = stored_schema(raw)
    pseudonyms = Pseudonyms(secrets.token_bytes(_KEY_BYTES), mask.literals)
    masking = Masking(schema, pseudonyms, mask.keep)
    raw.execute("PRAGMA secure_delete=ON").fetchall()
    raw.execute("BEGIN IMMEDIATE")
    try:
        _mask_rows(raw, schema, masking, tick)
        _mask_ours(raw, pseudonyms)
        rebuild_owners(raw, schema, now_ms)
        raw.execute("COMMIT")
    except BaseException:
        raw.execute("ROLLBACK")
        raise
    raw.execute("VACUUM")


def _mask_rows(
    raw: RawConnection, schema: Schema, masking: Masking, tick: Callable[[], None]
) -> None:
    for entity in schema.entities.values():
        table = EntityTable(entity)
        if table.search is not None:
            table.search.drop(raw)

        # While some rows have their values and some do not, one may have another's.
        indexes = _indexes(raw, entity.name)
        for name in indexes:
            raw.execute(f'DROP INDEX "{name}"')
        _rewrite(
            raw,
            entity.name,
            table.select_sql,
            table.insert_sql,
            partial(_masked, table, masking),
            tick,
        )
        for sql in indexes.values():
            raw.execute(sql)
        if table.search is not None:
            table.search.create(raw)


def _indexes(raw: RawConnection, table: str) -> dict[str, str]:
    """Return the statements of a table's indexes by their names."""
    return dict(
        raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
            " AND sql IS NOT NULL",
            (table,),
        ).fetchall()
    )


def _masked(table: EntityTable, masking: Masking, stored: tuple[Any, ...]) -> tuple[Any, ...]:
    row = masking.row(table.entity, table.row(stored))
    return (*table.values(row), wire_text(table.entity, row))


def _rewrite(
    raw: RawConnection, name: str, select_sql: str, insert_sql: str, change: _Change,
    tick: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Write every row of a table anew: keys change, too, and one may be another's of before."""
    old = f'temp."{_OLD}"'
    raw.execute(f'CREATE TEMP TABLE "{_OLD}" AS {select_sql}')
    raw.execute(f'DELETE FROM "{name}"')

    def changed() -> Iterator[tuple[Any, ...]]:
        for place, stored in enumerate(raw.execute(f"SELECT * FROM {old}")):
            if place % _ROWS_AT_ONCE == 0:
                tick()
            yield change(stored)

    raw.executemany(insert_sql, changed())
    raw.execute(f"DROP TABLE {old}")


def _mask_ours(raw: RawConnection, pseudonyms: Pseudonyms) -> None:
    head, _ = read_head(raw)
    names = [str(one) for (one,) in raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    ).fetchall()]  # fmt: skip
    for name in names:
        if name.startswith(_OURS) and not name.startswith(PREFIX) and name not in _KEPT:
            raw.execute(f'DELETE FROM "{name}"')
    # What the policies were, too: an app may have put names and addresses into them; and who is
    # being erased just now.
    raw.execute(
        "DELETE FROM _pylon_meta WHERE key LIKE 'identity %'"
        " OR key IN ('policies', 'read_meanings', 'erasing')"
    )
    for key in ("horizon", "head_floor"):  # the log begins anew, behind all that rows say of it
        set_meta(raw, key, head)
    _rewrite(
        raw, "_pylon_accounts",
        "SELECT id, email, roles, disabled, auth_version, created_at, proven, guest"
        " FROM _pylon_accounts",
        "INSERT INTO _pylon_accounts (id, email, roles, disabled, auth_version, created_at, proven,"
        " guest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        lambda row: (pseudonyms.id(row[0]), _email(pseudonyms, *row[:2]), *row[2:]),
    )  # fmt: skip
    if "_pylon_files" in names:
        _rewrite(
            raw, "_pylon_files",
            "SELECT id, sha256, size, type, name, uploader, created_at, state, since"
            " FROM _pylon_files",
            "INSERT INTO _pylon_files (id, sha256, size, type, name, uploader, created_at, state,"
            " since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            lambda row: (
                row[0], NO_BYTES, 0, row[3],
                pseudonyms.text(row[4], keeps=False), None, *row[6:],
            ),
        )  # fmt: skip


def _email(pseudonyms: Pseudonyms, user_id: str, email: str) -> str:
    if email.startswith(NO_EMAIL):
        return f"{NO_EMAIL}{pseudonyms.id(user_id)}"
    return pseudonyms.text(email, keeps=False)
