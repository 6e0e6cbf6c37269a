"""Rows that refer to somebody who is erased: counted, deleted or emptied, and that tried out first.

What does not live here: what tables of our own have of him (`erasing`), the order of things
(`server.erasing`).
"""

from __future__ import annotations

from typing import Final

from pylon.errors import Conflict, PylonError, TransactionTooLarge
from pylon.schema.model import Entity, Field, OnDelete, Schema
from pylon.server.storage.accounts import Rows
from pylon.server.storage.erasing import CAUSE
from pylon.server.storage.transaction import Transaction

_USER: Final = "User"


class Rehearsed(PylonError):
    """Nothing holds on to him; what was tried out is undone."""


def count_referring(rows: Rows, entity: Entity, field: Field, user_id: str) -> int:
    """Return how many rows refer to somebody by a field."""
    sql = f'SELECT count(*) FROM "{entity.name}" WHERE "{field.name}" = ?'
    ((count,),) = rows(sql, (user_id,))
    return int(count)


def restricted(entity: Entity, field: Field, count: int) -> Conflict:
    """Return why somebody can't be erased to whom rows hold on."""
    return Conflict(
        f"{count} rows of {entity.name} refer to the account by {field.name}, and say"
        ' on_delete="restrict"',
        hint="delete them or give them to somebody else first",
        entity=entity.name, field=field.name,
    )  # fmt: skip


def let_go(
    transaction: Transaction, entity: Entity, field: Field, user_id: str, at_most: int
) -> int:
    """Delete rows that refer to somebody, or empty the field; returns how many it looked at.

    Raises Conflict where a row holds on to him, or to a row that goes with him.
    """
    transaction.cause = CAUSE
    found = transaction.select(
        f'SELECT "id" FROM "{entity.name}" WHERE "{field.name}" = ? LIMIT ?', (user_id, at_most)
    )
    if found and field.on_delete is OnDelete.RESTRICT:
        raise restricted(entity, field, len(found))
    try:
        for (row_id,) in found:
            row = transaction.get(entity, row_id)
            if row is None:
                continue  # it went with another of them
            if field.on_delete is OnDelete.CASCADE:
                transaction.delete(entity, row)
            else:
                transaction.update(entity, row, {**row, field.name: None})
    except TransactionTooLarge:
        # What refers to a row goes before the row: so far all is whole, and the next piece goes on.
        if not transaction.records:
            raise
    return len(found)


def holds_on(schema: Schema) -> bool:
    """Tell whether a row may hold on to one that goes with somebody, however far behind him."""
    seen: set[str] = set()
    waiting = [_USER]
    while waiting:
        name = waiting.pop()
        for entity, field in schema.referrers.get(name, ()):
            if field.on_delete is OnDelete.RESTRICT and name != _USER:
                return True
            if field.on_delete is OnDelete.CASCADE and entity.name not in seen:
                seen.add(entity.name)
                waiting.append(entity.name)
    return False


def rehearse(transaction: Transaction, user_id: str) -> None:
    """Let go of somebody as it will be done, and undo it: raises Rehearsed, or Conflict."""
    start = transaction.mark()
    for entity, field in transaction.schema.referrers.get(_USER, ()):
        while let_go(transaction, entity, field, user_id, 1):
            transaction.go_back(start)  # it is no one transaction later, either: no limit of one
    raise Rehearsed
