"""How much an entity holds, and who refers to a row: what the owner sees before he opens anything.

What does not live here: pages of rows (`select`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pylon import jsonvalue
from pylon.schema.model import Entity, Field
from pylon.server.storage.readers import ReadConnection

#: Rows that refer to one are counted up to this many.
REFERRERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Referrers:
    """How many rows refer to one by a field: exact below `REFERRERS_MAX` + 1."""

    entity: Entity
    field: Field
    count: int


def bytes_of(connection: ReadConnection, entity: Entity) -> int:
    """Return the bytes of an entity's pages in the file, its indexes included."""
    names = connection.rows(
        "SELECT name FROM sqlite_schema WHERE tbl_name = ? AND type IN ('table', 'index')",
        (entity.name,),
    )
    total = 0
    for (name,) in names:
        ((size,),) = connection.rows(
            "SELECT sum(pgsize) FROM dbstat WHERE name = ? AND aggregate = 1", (name,)
        )
        total += int(size or 0)
    return total


def referrers_of(connection: ReadConnection, entity: Entity, row_id: str) -> list[Referrers]:
    """Return by which fields rows refer to a row, and how many do."""
    found = []
    for referrer, field in connection.schema.referrers.get(entity.name, ()):
        ((count,),) = connection.rows(
            f'SELECT count(*) FROM (SELECT 1 FROM "{referrer.name}" WHERE "{field.name}" = ?'
            " LIMIT ?)",
            (row_id, REFERRERS_MAX + 1),
        )
        found.append(Referrers(referrer, field, int(count)))
    return found


def referrers_of_many(
    connection: ReadConnection, entity: Entity, ids: Sequence[str]
) -> list[Referrers]:
    """Return by which fields rows refer to some of these, and how many do together."""
    asked = jsonvalue.encode_text(list(ids))
    found = []
    for referrer, field in connection.schema.referrers.get(entity.name, ()):
        ((count,),) = connection.rows(
            f'SELECT count(*) FROM (SELECT 1 FROM "{referrer.name}" WHERE "{field.name}" IN'
            " (SELECT value FROM json_each(?)) LIMIT ?)",
            (asked, REFERRERS_MAX + 1),
        )
        found.append(Referrers(referrer, field, int(count)))
    return found
