"""Reads for the outside: one row, a page of rows, a count; always behind the read policy."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.clock import Clock, iso_ms
from pylon.errors import NotFound
from pylon.identity import Identity
from pylon.policy.filters import compile_filter_text
from pylon.policy.sqlclause import both
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.queries import (
    decode_next,
    encode_next,
    entity_of,
    filter_of,
    limit_of,
    order_of,
    question_hash,
    read_clause,
)  # fmt: skip
from pylon.server.storage.database import Database
from pylon.server.storage.select import (
    NO_CLAUSE,
    SelectSpec,
    count_rows,
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
        found = wire_of(self._database.readers.inline.raw, entity, row_id, policy)
        if found is None:
            raise NotFound()
        return found

    async def list_rows(
        self, identity: Identity, entity_name: str, *, where: Any = None, order: Any = None,
        limit: Any = None, after: Any = None, expression: str | None = None,
    ) -> str:  # fmt: skip
        """Return the JSON body of one page: {"rows": […], "next": …}.

        `expression` is a filter in the policy language, beside or instead of `where`.
        """
        spec, question = self._spec(
            self._definitions.current,
            identity,
            entity_name,
            where,
            order,
            limit,
            after,
            expression,
        )
        is_short = spec.limit <= _INLINE_LIMIT and spec.policy is NO_CLAUSE
        # An order or a filter may have to look at every row: not on the loop.
        if is_short and where is None and expression is None and order is None:
            rows, key = list_wire(self._database.readers.inline.raw, spec)
        else:
            rows, key = await self._database.readers.run(
                lambda connection: list_wire(connection.raw, spec), timeout_s=limits.READ_SECONDS
            )
        following = jsonvalue.encode_text(encode_next(key, question))
        return f'{{"rows":[{rows}],"next":{following}}}'

    async def count(self, identity: Identity, entity_name: str, where: Any = None) -> int:
        """Return how many rows the caller may read that a filter selects."""
        spec, _ = self._spec(
            self._definitions.current, identity, entity_name, where, None, None, None
        )
        return await self._database.readers.run(lambda connection: count_rows(connection.raw, spec))

    def _spec(
        self, definition: AppDefinition, identity: Identity, entity_name: str, where: Any,
        order: Any, limit: Any, after: Any, expression: str | None = None,
    ) -> tuple[SelectSpec, str]:  # fmt: skip
        entity = entity_of(definition, entity_name)
        now = iso_ms(self._clock.now_ms())
        terms = order_of(entity, order)
        question = question_hash(entity, [where, expression], terms)
        selected = NO_CLAUSE
        if where is not None:
            selected = filter_of(entity, where).clause(identity, alias="t", now=now)
        if expression is not None:
            compiled = compile_filter_text(expression, entity=entity, schema=definition.schema)
            selected = both(selected, compiled.clause(identity, alias="t", now=now))
        policy = read_clause(definition, identity, entity, now)
        return SelectSpec(
            entity=entity,
            policy=policy,
            where=selected,
            order=terms,
            limit=limit_of(limit),
            after=decode_next(after, question, len(terms)),
        ), question
