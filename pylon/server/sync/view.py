"""Views: callers whose answers cannot differ, and what they see of the log.

Connections with the same facts about their callers and the same filters share one view, and the
same bytes go to all of them. Nothing of its answers is kept: each is asked of the state now.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.identity import Identity
from pylon.policy.compiled import CompiledFilter, CompiledPolicy
from pylon.policy.sqlclause import SqlClause, both
from pylon.schema.model import Access, Entity, Row
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import NO_CLAUSE
from pylon.server.sync.projection import Judge, project
from pylon.server.sync.subscription import Subscription


class EntityView:
    """How one view sees one entity: the policy's facts and the filters."""

    __slots__ = ("entity", "facts", "filters", "identity", "policy")

    def __init__(
        self, entity: Entity, policy: CompiledPolicy, identity: Identity,
        filters: Mapping[str, CompiledFilter],
    ) -> None:  # fmt: skip
        self.entity = entity
        self.policy = policy
        self.identity = identity
        self.facts = policy.facts(identity)
        #: By canonical text; none where only windows look at the entity.
        self.filters = filters

    def judge(self, now: str, reader: ReadConnection) -> Judge:
        """Return the judge of this moment."""
        policy, facts, filters = self.policy, self.facts, tuple(self.filters.values())
        is_system = self.identity.is_system

        def ask(row: Row) -> tuple[bool, bool]:
            is_allowed = is_system or (
                policy.judge(facts, row, None, None, now, None, reader.exists) is True
            )
            return is_allowed, any(one.matches(row, now) for one in filters)

        return ask

    def clauses(self, now: str) -> tuple[SqlClause, SqlClause]:
        """Return (policy, any filter) as SQL over the columns of `t`."""
        policy = (
            NO_CLAUSE
            if self.identity.is_system
            else self.policy.clause(self.identity, alias="t", now=now)
        )
        return policy, any_clause(
            [one.clause(self.identity, alias="t", now=now) for one in self.filters.values()]
        )

    def image_clause(self, now: str) -> SqlClause | None:
        """Return policy and filters over the image `l.before`; None where SQL is not exact."""
        column = "l.before"
        parts = [
            one.image_clause(self.identity, column=column, now=now) for one in self.filters.values()
        ]
        if not self.identity.is_system:
            policy = self.policy.image_clause(self.identity, column=column, now=now)
        else:
            policy = NO_CLAUSE
        if policy is None or any(part is None for part in parts):
            return None
        return both(policy, any_clause([part for part in parts if part is not None]))


def any_clause(clauses: list[SqlClause]) -> SqlClause:
    """Return the clauses joined by OR; none of them select nothing."""
    if not clauses:
        return SqlClause("0", ())
    text = " OR ".join(clause.text for clause in clauses)
    return SqlClause(f"({text})", tuple(one for clause in clauses for one in clause.params))


class View:
    """What a class of connections sees; made by `make_view`."""

    def __init__(self, key: Hashable, entities: dict[str, EntityView]) -> None:
        self.key = key
        self.entities = entities
        #: What it shows does not change as time passes.
        self.is_timeless = not any(
            one.policy.uses_now or any(each.uses_now for each in one.filters.values())
            for one in entities.values()
        )

    def project(
        self, records: list[LogRecord], newest: dict[tuple[str, str], int], now: str,
        reader: ReadConnection,
    ) -> list[tuple[int, int, bytes]]:  # fmt: skip
        """Return (seq, transaction, change text) of every record that this view sees."""
        judges: dict[str, Judge] = {}
        changes: list[tuple[int, int, bytes]] = []
        for record in records:
            seen = self.entities.get(record.entity)
            if seen is None or not seen.filters:
                continue
            judge = judges.get(record.entity)
            if judge is None:
                judge = judges[record.entity] = seen.judge(now, reader)
            is_newest = newest[record.entity, record.row_id] == record.seq
            text = project(record, is_newest=is_newest, judge=judge)
            if text is not None:
                changes.append((record.seq, record.tx, text.encode()))
        return changes


def make_view(
    definition: AppDefinition, identity: Identity, subscriptions: Iterable[Subscription]
) -> View:
    """Return the view of a caller with subscriptions; equal keys see the same."""
    by_entity: dict[str, list[Subscription]] = {}
    for one in subscriptions:
        by_entity.setdefault(one.entity.name, []).append(one)
    entities: dict[str, EntityView] = {}
    key: list[Any] = [definition.generation, identity.is_system]
    for name in sorted(by_entity):
        wanted = by_entity[name]
        policy = definition.policies.get(name, Access.READ)
        filters = {one.filter_key: one.filter for one in wanted if not one.is_window}
        entities[name] = EntityView(wanted[0].entity, policy, identity, filters)
        key.append((name, policy.class_key(identity), tuple(sorted(filters))))
    return View(tuple(key), entities)


def whole_view(definition: AppDefinition, identity: Identity) -> View:
    """Return the view of all that a caller may see: pull and SSE without subscriptions."""
    entities = {}
    for entity in definition.schema.entities.values():
        if entity.sync:
            policy = definition.policies.get(entity.name, Access.READ)
            entities[entity.name] = EntityView(entity, policy, identity, {"": _EVERYTHING})
    return View("whole", entities)


class _Everything:
    """A filter that selects every row."""

    uses_now = False

    def matches(self, row: Row, now: str = "") -> bool:
        """Select it."""
        return True

    def clause(self, identity: Identity, *, alias: str, now: str) -> SqlClause:
        """Return a clause that is always true."""
        return NO_CLAUSE

    def image_clause(self, identity: Identity, *, column: str, now: str) -> SqlClause:
        """Return a clause that is always true."""
        return NO_CLAUSE


_EVERYTHING: Any = _Everything()
