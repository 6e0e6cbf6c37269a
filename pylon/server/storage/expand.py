"""Rows with their neighbours: one statement per hop, the policy of its entity in its WHERE.

A row that is missing and one that the caller may not read are the same null, or the same absence
from a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue, limits
from pylon.errors import PayloadTooLarge
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Entity
from pylon.server.storage.select import WHOLE_WIRE
from pylon.sqlite import RawConnection

_BYTES = limits.INCLUDE_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One relation to follow, and what to follow behind it."""

    #: The member of the row that the neighbours stand in.
    name: str
    #: The entity that is reached.
    entity: Entity
    #: The column of the row, and the one of its neighbours that has the same value.
    source: str
    target: str
    #: Many neighbours, or one or null.
    is_list: bool
    #: The member is one of the row's own fields, in whose place the neighbour stands.
    replaces: bool
    policy: SqlClause
    #: The neighbours' text as the caller gets it.
    wire: SqlClause = WHOLE_WIRE
    children: tuple[Hop, ...] = ()


def sources_of(hops: Sequence[Hop]) -> tuple[str, ...]:
    """Return the columns that following these hops needs of a row, each once."""
    return tuple(dict.fromkeys(hop.source for hop in hops))


class Expander:
    """Puts one answer together; what it fetches and writes has a bound."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection
        self._rows_left = limits.INCLUDE_ROWS_MAX
        self._bytes_left = self._fetched_left = limits.INCLUDE_BYTES_MAX

    def with_neighbours(self, rows: Sequence[tuple[Any, ...]], hops: tuple[Hop, ...]) -> list[str]:
        """Return the texts of rows, each (wire text, values of `sources_of(hops)`…), expanded.

        Raises PayloadTooLarge.
        """
        if not hops:
            return [row[0] for row in rows]
        places = {name: at for at, name in enumerate(sources_of(hops), 1)}
        found = [
            (
                hop,
                places[hop.source],
                self._neighbours(hop, [row[places[hop.source]] for row in rows]),
            )
            for hop in hops
        ]
        return [self._text(row, found) for row in rows]

    def _text(
        self, row: tuple[Any, ...], found: list[tuple[Hop, int, dict[str, list[str]]]]
    ) -> str:
        wire: str = row[0]
        members = []
        size = len(wire)
        for hop, place, neighbours in found:
            texts = neighbours.get(row[place], [])
            size += sum(map(len, texts)) + len(texts) + len(hop.name) + 8
            members.append((hop, texts))
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise _too_large(f"the rows and what is included take more than {_BYTES} bytes")
        replaced = [hop.name for hop, _ in members if hop.replaces]
        if replaced:
            kept = jsonvalue.decode_trusted(wire)
            wire = jsonvalue.encode_text({k: v for k, v in kept.items() if k not in replaced})
        added = "".join(f',"{hop.name}":{_member(hop, texts)}' for hop, texts in members)
        return f"{wire[:-1]}{added}}}"

    def _neighbours(self, hop: Hop, keys: list[Any]) -> dict[str, list[str]]:
        """Return the texts of what a hop reaches, by the value that they are reached by."""
        wanted = [one for one in dict.fromkeys(keys) if one is not None]
        if not wanted:
            return {}
        columns = "".join(f', t."{name}"' for name in sources_of(hop.children))
        statement = self._connection.execute(
            f'SELECT {hop.wire.text}{columns}, t."{hop.target}" FROM "{hop.entity.name}" AS t'
            f' WHERE t."{hop.target}" IN (SELECT value FROM json_each(?)) AND {hop.policy.text}'
            ' ORDER BY t."id" LIMIT ?',
            (
                *hop.wire.params,
                jsonvalue.encode_text(wanted),
                *hop.policy.params,
                self._rows_left + 1,
            ),
        )
        # An error's traceback would keep the statement, and that the log from being checkpointed.
        with closing(statement):
            rows = list(map(self._counted, statement))
        found: dict[str, list[str]] = {}
        texts = self.with_neighbours(rows, hop.children)
        for row, text in zip(rows, texts, strict=True):
            found.setdefault(row[-1], []).append(text)
        return found

    def _counted(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a fetched row; raises PayloadTooLarge before more is held than is answered."""
        self._rows_left -= 1
        self._fetched_left -= len(row[0])
        if self._rows_left < 0:
            raise _too_large(f"more than {limits.INCLUDE_ROWS_MAX} rows are included")
        if self._fetched_left < 0:
            raise _too_large(f"what is included takes more than {_BYTES} bytes")
        return row


def _too_large(message: str) -> PayloadTooLarge:
    return PayloadTooLarge(
        message, hint="ask for fewer rows by `limit`, or for the neighbours by a list of their own"
    )


def _member(hop: Hop, texts: list[str]) -> str:
    if hop.is_list:
        return f"[{','.join(texts)}]"
    return texts[0] if texts else "null"
