"""Reads for the outside: rows, pages, counts, aggregates; always behind the read policy."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidArgument, NotFound
from pylon.identity import Identity
from pylon.policy.filters import compile_filter_text
from pylon.policy.sqlclause import SqlClause, both
from pylon.server.functions.aggregates import aggregates_of, answer_of, group_of
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.includes import hops_of
from pylon.server.functions.queries import (
    decode_next,
    encode_next,
    entity_of,
    filter_of,
    limit_of,
    order_of,
    question_hash,
    read_clause,
    unusable_everywhere,
    unusable_fields,
    wire_clause,
)  # fmt: skip
from pylon.server.functions.searching import match_of
from pylon.server.storage.aggregate import AggregateSpec, aggregate_rows
from pylon.server.storage.database import Database
from pylon.server.storage.expand import Expander, Hop, sources_of
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.search import SearchSpec, search_page
from pylon.server.storage.select import (
    NO_CLAUSE,
    SelectSpec,
    count_rows,
    list_page,
    list_wire,
    wire_of,
)  # fmt: skip

#: Lists up to this limit are read on the loop; longer ones on a reader thread.
_INLINE_LIMIT = 20


class Reads:
    """The read side of the API."""

    def __init__(self, database: Database, definitions: DefinitionHolder, clock: Clock) -> None:
        self._database = database
        self._definitions = definitions
        self._clock = clock

    def get_row(self, identity: Identity, entity_name: str, row_id: str) -> tuple[str, int]:
        """Return (wire text, seq) of a readable row; raises NotFound for any other."""
        definition = self._definitions.current
        entity = entity_of(definition, entity_name)
        now = iso_ms(self._clock.now_ms())
        policy = read_clause(definition, identity, entity, now)
        wire = wire_clause(definition, identity, entity, now)
        found = wire_of(self._database.readers.inline.raw, entity, row_id, policy, wire)
        if found is None:
            raise NotFound()
        return found

    async def get_with(
        self, identity: Identity, entity_name: str, row_id: str, include: Any
    ) -> tuple[str, int]:
        """Return (text, seq) of a readable row with what it includes; raises NotFound."""
        definition = self._definitions.current
        entity = entity_of(definition, entity_name)
        now = iso_ms(self._clock.now_ms())
        spec = SelectSpec(
            entity=entity, policy=read_clause(definition, identity, entity, now), limit=1,
            where=SqlClause('t."id" = ?', (row_id,)),
            wire=wire_clause(definition, identity, entity, now),
        )  # fmt: skip
        hops = self._hops_after(identity, entity_name, row_id, include, now)

        def read(connection: ReadConnection) -> tuple[str, int] | None:
            rows, _ = list_page(connection.raw, spec, (*sources_of(hops), "_seq"))
            if not rows:
                return None
            (text,) = Expander(connection.raw).with_neighbours(rows, hops)
            return text, rows[0][len(sources_of(hops)) + 1]

        found = await self._database.readers.run(read, asker=identity.asker)
        if found is None:
            raise NotFound()
        return found

    def _hops_after(
        self, identity: Identity, entity_name: str, row_id: str, include: Any, now: str
    ) -> tuple[Hop, ...]:
        """Return the hops of one row; that it is not there is said before what is wrong."""
        definition = self._definitions.current
        try:
            return hops_of(definition, identity, entity_of(definition, entity_name), include, now)
        except InvalidArgument:
            self.get_row(identity, entity_name, row_id)
            raise

    async def list_rows(
        self, identity: Identity, entity_name: str, *, where: Any = None, order: Any = None,
        limit: Any = None, after: Any = None, include: Any = None, expression: str | None = None,
    ) -> str:  # fmt: skip
        """Return the JSON body of one page: {"rows": […], "next": …}.

        `expression` is a filter in the policy language, beside or instead of `where`.
        """
        spec, question = self.spec_of(
            self._definitions.current,
            identity,
            entity_name,
            where,
            order,
            limit,
            after,
            expression,
        )
        now = iso_ms(self._clock.now_ms())
        hops = hops_of(self._definitions.current, identity, spec.entity, include, now)
        is_short = spec.limit <= _INLINE_LIMIT and spec.policy is NO_CLAUSE
        # An order or a filter may have to look at every row: not on the loop.
        is_plain = where is None and expression is None and order is None and not hops
        if is_short and is_plain:
            rows, key = list_wire(self._database.readers.inline.raw, spec)
        else:
            rows, key = await self._database.readers.run(
                lambda connection: _page(connection, spec, hops), asker=identity.asker
            )
        following = jsonvalue.encode_text(encode_next(key, question))
        return f'{{"rows":[{rows}],"next":{following}}}'

    async def search(
        self, identity: Identity, entity_name: str, text: Any, *, where: Any = None,
        limit: Any = None, include: Any = None,
    ) -> str:  # fmt: skip
        """Return the JSON body of what a search finds, best first: {"rows": […]}."""
        definition = self._definitions.current
        selected, _ = self.spec_of(definition, identity, entity_name, where, None, limit, None)
        entity = selected.entity
        match = match_of(entity, text, unusable_fields(definition, identity, entity))
        hops = hops_of(definition, identity, entity, include, iso_ms(self._clock.now_ms()))
        if match is None:
            return '{"rows":[]}'
        spec = SearchSpec(
            entity=entity, match=match, wire=selected.wire, policy=selected.policy,
            where=selected.where, limit=selected.limit,
        )  # fmt: skip

        def read(connection: ReadConnection) -> list[str]:
            rows = search_page(connection.raw, spec, sources_of(hops))
            return Expander(connection.raw).with_neighbours(rows, hops)

        rows = await self._database.readers.run(read, asker=identity.asker)
        return f'{{"rows":[{",".join(rows)}]}}'

    async def aggregate(
        self, identity: Identity, entity_name: str, *, where: Any = None, group: Any = None,
        aggregates: Any = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return one row of JSON values per group, in the group's order."""
        definition = self._definitions.current
        selected, _ = self.spec_of(definition, identity, entity_name, where, None, None, None)
        unusable = unusable_fields(definition, identity, selected.entity)
        fields = group_of(selected.entity, group, unusable)
        asked = aggregates_of(selected.entity, aggregates, fields, unusable)
        spec = AggregateSpec(
            entity=selected.entity, policy=selected.policy, where=selected.where, group=fields,
            aggregates=asked,
        )  # fmt: skip
        found = await self._database.readers.run(
            lambda connection: aggregate_rows(connection.raw, spec, limits.AGGREGATE_GROUPS_MAX),
            asker=identity.asker,
        )
        if found is None:
            raise InvalidArgument(
                f"more than {limits.AGGREGATE_GROUPS_MAX} groups", field="group",
                hint="ask for less by `where`",
            )  # fmt: skip
        return [answer_of(fields, asked, stored, values) for stored, values in found]

    async def count(self, identity: Identity, entity_name: str, where: Any = None) -> int:
        """Return how many rows the caller may read that a filter selects."""
        spec, _ = self.spec_of(
            self._definitions.current, identity, entity_name, where, None, None, None
        )
        return await self._database.readers.run(
            lambda connection: count_rows(connection.raw, spec), asker=identity.asker
        )

    def spec_of(
        self, definition: AppDefinition, identity: Identity, entity_name: str, where: Any,
        order: Any, limit: Any, after: Any, expression: str | None = None,
    ) -> tuple[SelectSpec, str]:  # fmt: skip
        """Return the page that is asked for, and what binds its `next` to the question."""
        entity = entity_of(definition, entity_name)
        now = iso_ms(self._clock.now_ms())
        unusable = unusable_fields(definition, identity, entity)
        terms = order_of(entity, order, unusable)
        question = question_hash(entity, [where, expression], terms)
        selected = NO_CLAUSE
        if where is not None:
            selected = filter_of(entity, where, unusable).clause(identity, alias="t", now=now)
        if expression is not None:
            compiled = compile_filter_text(
                expression, entity=entity, schema=definition.schema,
                hidden=unusable_everywhere(definition, identity),
            )  # fmt: skip
            selected = both(selected, compiled.clause(identity, alias="t", now=now))
        policy = read_clause(definition, identity, entity, now)
        return SelectSpec(
            entity=entity,
            wire=wire_clause(definition, identity, entity, now),
            policy=policy,
            where=selected,
            order=terms,
            limit=limit_of(limit),
            after=decode_next(after, question, len(terms)),
        ), question


def _page(
    connection: ReadConnection, spec: SelectSpec, hops: tuple[Hop, ...]
) -> tuple[str, tuple[Any, ...] | None]:
    """Return the inside of a page's rows, and the key of the next."""
    if not hops:
        return list_wire(connection.raw, spec)
    rows, key = list_page(connection.raw, spec, sources_of(hops))
    return ",".join(Expander(connection.raw).with_neighbours(rows, hops)), key
