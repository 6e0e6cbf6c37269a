"""Views: callers whose answers cannot differ, and what they see of the log.

Connections with the same facts about their callers and the same filters share one view, and the
same bytes go to all of them. Nothing of its answers is kept: each is asked of the state now.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.identity import Identity
from pylon.policy.compiled import CompiledFilter, ExistsLookup, PolicySet
from pylon.policy.slices import Slice
from pylon.policy.sqlclause import SqlClause, both
from pylon.schema.model import Access, Entity, Row
from pylon.schema.wire import masked_text
from pylon.server.auth.scopes import may_entity
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import NO_CLAUSE, WHOLE_WIRE
from pylon.server.sync.projection import Judge, Wire, project, whole_wire
from pylon.server.sync.subscription import Subscription


class EntityView:
    """How one view sees one entity: the policies' facts and the filters."""

    __slots__ = (
        "entity", "facts", "field_facts", "fields", "filters", "identity", "policy", "slots"
    )  # fmt: skip

    def __init__(
        self, entity: Entity, policies: PolicySet, identity: Identity,
        filters: Mapping[str, CompiledFilter],
    ) -> None:  # fmt: skip
        policy = policies.get(entity.name, Access.READ)
        self.entity = entity
        self.policy = policy
        self.identity = identity
        self.facts = policy.facts(identity)
        #: What some of the fields ask beside it.
        self.fields = policies.fields_of(entity.name)
        self.field_facts = self.fields.facts(identity)
        #: What is asked of callers: those of one view answer all of it alike.
        self.slots = frozenset([
            slot for one in policies.reads(entity.name) for slot in one.slots
        ])  # fmt: skip
        #: By canonical text; none where only windows look at the entity.
        self.filters = filters

    def is_moved_by(self, one: Slice) -> bool:
        """Tell whether a slice concerns these callers, as far as it says whom."""
        return not self.identity.is_system and one.names(self.identity, self.slots)

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

    def wire(self, now: str, lookup: ExistsLookup) -> Wire:
        """Return what gives the text of a record's row, without the fields that are not shown."""
        fields = self.fields
        if self.identity.is_system or not fields:
            return whole_wire

        def wire(record: LogRecord) -> str | None:
            if record.after is None:
                return record.wire
            hidden = fields.hidden(self.field_facts, record.after, now, lookup)
            return masked_text(self.entity, record.after, hidden) if hidden else record.wire

        return wire

    def wire_clause(self, now: str) -> SqlClause:
        """Return the same as SQL over the columns of `t`."""
        return self.fields.wire(self.identity, alias="t", now=now) if self.fields else WHOLE_WIRE

    @property
    def class_key(self) -> Hashable:
        """Return a key that is equal for callers who see the same of the entity."""
        return (self.facts, self.field_facts)

    @property
    def is_steady(self) -> bool:
        """Tell whether what it shows of a row depends on that row alone."""
        asked = (self.policy, self.fields)
        return not any(one.exists or one.uses_now for one in asked)

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
            one.policy.uses_now
            or one.fields.uses_now
            or any(each.uses_now for each in one.filters.values())
            for one in entities.values()
        )

    def is_moved_by(self, records: Iterable[LogRecord]) -> bool:
        """Tell whether there are slices among records that concern what is followed here."""
        for record in records:
            if record.slice is not None:
                seen = self.entities.get(record.entity)
                if seen is not None and seen.filters and seen.is_moved_by(record.slice):
                    return True
        return False

    def project(
        self, records: list[LogRecord], newest: dict[tuple[str, str], int], now: str,
        reader: ReadConnection,
    ) -> list[tuple[int, int, bytes]]:  # fmt: skip
        """Return (seq, transaction, change text) of every record that this view sees."""
        judges: dict[str, tuple[Judge, Wire]] = {}
        changes: list[tuple[int, int, bytes]] = []
        for record in records:
            seen = self.entities.get(record.entity)
            if seen is None or not seen.filters:
                continue
            asked = judges.get(record.entity)
            if asked is None:
                asked = seen.judge(now, reader), seen.wire(now, reader.exists)
                judges[record.entity] = asked
            judge, wire = asked
            is_newest = newest[record.entity, record.row_id] == record.seq
            text = project(record, is_newest=is_newest, judge=judge, wire=wire)
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
        filters = {one.filter_key: one.filter for one in wanted if not one.is_window}
        seen = EntityView(wanted[0].entity, definition.policies, identity, filters)
        entities[name] = seen
        key.append((name, seen.class_key, tuple(sorted(filters))))
    return View(tuple(key), entities)


def whole_view(definition: AppDefinition, identity: Identity) -> View:
    """Return the view of all that a caller may see: pull and SSE without subscriptions."""
    entities = {}
    for entity in definition.schema.entities.values():
        if entity.sync and may_entity(identity, entity.name):
            everything = {"": _EVERYTHING}
            seen = EntityView(entity, definition.policies, identity, everything)
            entities[entity.name] = seen
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
