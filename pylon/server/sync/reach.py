"""What a subscription's `include` leads to: rows in view because a row in view names them.

A `Reach` is one hop of one path. Whether it leads to a row is asked as SQL of the rows as they are:
of its neighbours, each behind the read policy of its own entity, back to the subscription's rows.
What does not live here: which of them may have moved (`including`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument
from pylon.identity import Identity
from pylon.policy.compiled import CompiledFilter, CompiledPolicy
from pylon.policy.sqlclause import SqlClause, both
from pylon.schema.model import Access, Entity, Row
from pylon.server.auth.scopes import demand_entity
from pylon.server.functions.includes import Node, tree_of
from pylon.server.storage.reached import Above, first_of, has_parents, is_parsed, is_so
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import NO_CLAUSE, OrderTerm

_ANY_TIME: Final = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """The rows that paths start at: those of a filter, or the first of them in an order."""

    entity: Entity
    policy: CompiledPolicy
    filter: CompiledFilter
    filter_key: str
    order: tuple[OrderTerm, ...]
    #: Set where it is a window, which is no matter of one row.
    limit: int | None

    @property
    def key(self) -> Hashable:
        """Return a key that is equal for equal rows, as far as the caller sees them."""
        if self.limit is None:
            return (self.entity.name, self.filter_key)
        return (self.entity.name, self.filter_key, self.order, self.limit)

    @property
    def uses_now(self) -> bool:
        """Tell whether its rows can change as time passes."""
        return self.filter.uses_now

    def clause(self, identity: Identity, alias: str, now: str, *, as_set: bool) -> SqlClause:
        """Return what selects its rows, as SQL over the columns of `alias`."""
        policy = _policy(self.policy, identity, alias, now)
        own = both(policy, self.filter.clause(identity, alias=alias, now=now))
        if self.limit is None:
            return own
        listed = both(
            _policy(self.policy, identity, "w", now),
            self.filter.clause(identity, alias="w", now=now),
        )
        first = first_of(self.entity.name, alias, listed, self.order, self.limit)
        return both(first, own)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """One hop: from rows of a parent to those of an entity that have the same value."""

    parent: Root | Reach
    entity: Entity
    policy: CompiledPolicy
    #: The column of the parent's rows, and the one of the entity's with the same value.
    source: str
    target: str
    depth: int = 1

    @property
    def key(self) -> Hashable:
        """Return a key that is equal where it leads to the same rows."""
        return (self.parent.key, self.source, self.entity.name, self.target)

    @property
    def uses_now(self) -> bool:
        """Tell whether what it leads to can change as time passes."""
        return self.parent.uses_now

    def clause(
        self, identity: Identity, alias: str, now: str, *, as_set: bool = False
    ) -> SqlClause:
        """Return what selects the rows that it leads to and that may be read, over `alias`.

        Args:
            identity: who asks.
            alias: the table whose rows are asked about.
            now: the time that policies are asked at.
            as_set: many rows are asked about: their parents are found first.
        """
        policy = _policy(self.policy, identity, alias, now)
        return both(self.leads_to(identity, f'{alias}."{self.target}"', now, as_set=as_set), policy)

    def leads_to(
        self, identity: Identity, value: str, now: str, *, as_set: bool = False
    ) -> SqlClause:
        """Return whether a row in view names a value, which is given as SQL."""
        return has_parents(self._above(identity, now, as_set=as_set), value, as_set=as_set)

    def _above(self, identity: Identity, now: str, *, as_set: bool) -> Iterator[Above]:
        """Yield what stands above it, nearest first: rows of each parent that may be read."""
        hop: Root | Reach = self
        while isinstance(hop, Reach):
            parent, alias = hop.parent, f"p{hop.depth}"
            if isinstance(parent, Root):
                clause = parent.clause(identity, alias, now, as_set=as_set)
            else:
                clause = _policy(parent.policy, identity, alias, now)
            target = parent.target if isinstance(parent, Reach) else None
            yield Above(parent.entity.name, alias, hop.source, target, clause)
            hop = parent

    def image_clause(self, identity: Identity, column: str, now: str) -> SqlClause:
        """Return the same of the row that a JSON image holds."""
        return self.leads_to(identity, f"json_extract({column}, '$.\"{self.target}\"')", now)

    def holds(self, reader: ReadConnection, identity: Identity, image: Row, now: str) -> bool:
        """Tell whether it leads to a row that is at hand; its policy is asked elsewhere."""
        value = image.get(self.target)
        if value is None:
            return False
        return is_so(reader.raw, self.leads_to(identity, "v.value", now), value)


def _policy(policy: CompiledPolicy, identity: Identity, alias: str, now: str) -> SqlClause:
    return NO_CLAUSE if identity.is_system else policy.clause(identity, alias=alias, now=now)


def reaches_of(
    definition: AppDefinition, identity: Identity, root: Root, include: list[str] | None
) -> tuple[Reach, ...]:
    """Return the hops of a subscription's paths, parents first; raises InvalidArgument."""
    tree = tree_of(definition, identity, root.entity, include)
    found = tuple(_hops(definition, identity, root, tree, 1))
    for hop in found:
        if not is_parsed(hop.clause(identity, "t", _ANY_TIME)):
            raise InvalidArgument(
                f"{root.entity.name}: the path to {hop.entity.name}, with the policies along it,"
                " is nested too deep", field="include",
                hint="follow fewer hops in one subscription, or flatten those policies",
            )  # fmt: skip
    return found


def _hops(
    definition: AppDefinition, identity: Identity, parent: Root | Reach, nodes: Mapping[str, Node],
    depth: int,
) -> Iterator[Reach]:  # fmt: skip
    for node in nodes.values():
        relation = node.relation
        entity = definition.schema.entities[relation.entity]
        demand_entity(identity, entity.name)
        if not entity.sync:
            raise InvalidArgument(f"{entity.name} is kept off the live path", field="include")
        policy = definition.policies.get(entity.name, Access.READ)
        hop = Reach(parent, entity, policy, relation.source, relation.target, depth)
        yield hop
        yield from _hops(definition, identity, hop, node.children, depth + 1)
