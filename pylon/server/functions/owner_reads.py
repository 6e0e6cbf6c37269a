"""Rows for the owner, private fields included, or as a user of his choice; page by page.

A page is found by the key of a row beside it, in either direction, so that the millionth row costs
what the first one costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from pylon import jsonvalue, limits
from pylon.clock import iso_ms
from pylon.errors import FunctionTimeout, InvalidArgument, NotFound
from pylon.identity import Identity
from pylon.schema.model import Entity
from pylon.schema.wire import whole_row
from pylon.server.functions.queries import (
    decode_next,
    encode_next,
    entity_of,
    read_clause,
    wire_clause,
)  # fmt: skip
from pylon.server.functions.reads import Reads
from pylon.server.storage.data_pages import Referrers, bytes_of, referrers_of
from pylon.server.storage.readers import ReadConnection, Readers
from pylon.server.storage.select import SelectSpec, count_rows, list_page, wire_of
from pylon.server.storage.time_travel import PAST_SECONDS, demand_same_table, stand_at

T = TypeVar("T")

#: Counting or measuring one entity ends then: what is not known is not said.
_COUNT_SECONDS: Final = 2.0
#: Longer texts and JSON are cut in a list; the row itself has all of it.
_VALUE_CHARS: Final = 240
#: A page has the key of every so many rows: whoever holds a window lets rows go from there on.
_MARK_ROWS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One page: behind a key, before one, from one on, or the last one (`is_end`).

    `as_of`: the rows as they were after that change.
    """

    expression: str | None = None
    order: list[str] | None = None
    limit: int | None = None
    after: str | None = None
    before: str | None = None
    at: str | None = None
    is_end: bool = False
    as_of: int | None = None


class OwnerReads(Reads):
    """What the owner reads."""

    @property
    def readers(self) -> Readers:
        """Return the database's readers."""
        return self._database.readers

    def selection(self, identity: Identity, entity_name: str, asked: Asked) -> SelectSpec:
        """Return all rows of a question, in its order."""
        spec, _ = self.spec_of(
            self._definitions.current, identity, entity_name, None, asked.order, None, None,
            asked.expression,
        )  # fmt: skip
        return spec

    async def page(self, identity: Identity, entity_name: str, asked: Asked) -> dict[str, Any]:
        """Return {"rows", "keys", "more"}: `more` in the direction of reading.

        The system gets private fields too. `keys` is [place, key] of some rows, the outer ones
        among them.
        """
        if sum(one is not None for one in (asked.after, asked.before, asked.at)) > 1:
            raise InvalidArgument("a page is after, before or at one key", field="after")
        spec, question = self.spec_of(
            self._definitions.current, identity, entity_name, None, asked.order, asked.limit, None,
            asked.expression,
        )  # fmt: skip
        is_back = asked.is_end or asked.before is not None
        key = asked.after or asked.before or asked.at
        order = spec.order
        if is_back:
            order = tuple(replace(one, descending=not one.descending) for one in order)
        spec = replace(
            spec, order=order, after=decode_next(key, question, len(order)),
            includes_after=asked.at is not None,
        )  # fmt: skip

        def read(connection: ReadConnection) -> tuple[list[dict[str, Any]], list[Any], bool]:
            return _page(connection, spec, is_whole=identity.is_system)

        rows, keys, more = await self._read(read, identity, spec.entity, asked.as_of)
        if is_back:
            rows.reverse()
            keys.reverse()
        last = len(keys) - 1
        marks = [
            [place, encode_next(key, question)]
            for place, key in enumerate(keys)
            if place % _MARK_ROWS == 0 or place == last
        ]
        return {"entity": spec.entity.name, "rows": rows, "more": more, "keys": marks}

    async def _read(
        self, read: Callable[[ReadConnection], T], identity: Identity, entity: Entity,
        as_of: int | None, seconds: float = limits.READ_SECONDS,
    ) -> T:  # fmt: skip
        """Read now, or as of a change; raises as `time_travel.stand_at`."""

        def stand(connection: ReadConnection) -> T:
            if as_of is not None:
                demand_same_table(connection.raw, entity, as_of)
                stand_at(connection, as_of)
            return read(connection)

        timeout_s = seconds if as_of is None else PAST_SECONDS
        return await self._database.readers.run(stand, asker=identity.asker, timeout_s=timeout_s)

    async def count_of(
        self, identity: Identity, entity_name: str, expression: str | None = None,
        as_of: int | None = None,
    ) -> int | None:  # fmt: skip
        """Return how many rows there are to read; None where counting takes too long."""
        spec, _ = self.spec_of(
            self._definitions.current, identity, entity_name, None, None, None, None, expression
        )
        try:
            return await self._read(
                lambda connection: count_rows(connection.raw, spec), identity, spec.entity, as_of,
                _COUNT_SECONDS,
            )  # fmt: skip
        except FunctionTimeout:
            return None

    async def bytes_of(self, entity: Entity) -> int | None:
        """Return the bytes of an entity in the file; None where measuring takes too long."""
        try:
            return await self._database.readers.run(
                lambda connection: bytes_of(connection, entity), timeout_s=_COUNT_SECONDS
            )
        except FunctionTimeout:
            return None

    async def whole(
        self, identity: Identity, entity_name: str, row_id: str, as_of: int | None = None
    ) -> tuple[dict[str, Any], list[Referrers]]:
        """Return a row and who refers to it; raises NotFound, also for what is not readable."""
        definition = self._definitions.current
        entity = entity_of(definition, entity_name)
        if not identity.is_system:
            now = iso_ms(self._clock.now_ms())
            policy = read_clause(definition, identity, entity, now)
            wire = wire_clause(definition, identity, entity, now)
            found = await self._read(
                lambda one: wire_of(one.raw, entity, row_id, policy, wire), identity, entity, as_of
            )
            if found is None:
                raise NotFound()
            return jsonvalue.decode_trusted(found[0]), []

        def read(connection: ReadConnection) -> tuple[dict[str, Any], list[Referrers]]:
            row = connection.get(entity, row_id)
            if row is None:
                then = "" if as_of is None else f" as of change {as_of}"
                raise NotFound(f"there is no {entity.name} {row_id[:64]}{then}")
            return whole_row(entity, row), referrers_of(connection, entity, row_id)

        return await self._read(read, identity, entity, as_of)


def _page(
    connection: ReadConnection, spec: SelectSpec, *, is_whole: bool
) -> tuple[list[dict[str, Any]], list[Any], bool]:
    """Return rows, their keys, and whether there are more."""
    table, terms = connection.tables[spec.entity.name], len(spec.order)
    columns = table.columns if is_whole else ()
    page, following = list_page(connection.raw, spec, columns)
    rows = [
        whole_row(spec.entity, table.row(one[1 : len(columns) + 1]))
        if is_whole
        else jsonvalue.decode_trusted(one[0])
        for one in page
    ]
    keys = [one[len(one) - terms :] for one in page]
    return [cut_row(one) for one in rows], keys, following is not None


def cut_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a list shows it: what is long is cut, as text that ends in an ellipsis."""
    shown = {}
    for name, value in row.items():
        text = jsonvalue.encode_text(value) if isinstance(value, list | dict) else value
        is_long = isinstance(text, str) and len(text) > _VALUE_CHARS
        shown[name] = f"{text[:_VALUE_CHARS]}…" if is_long else value
    return shown
