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
from pylon.policy.timing import has_gone_by
from pylon.schema.model import Access, Entity, Row
from pylon.schema.wire import masked_text
from pylon.server.auth.scopes import may_entity
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.select import NO_CLAUSE, WHOLE_WIRE
from pylon.server.sync.projection import Judge, Wire, project, whole_wire
from pylon.server.sync.reach import Reach
from pylon.server.sync.subscription import Subscription


class EntityView:
    """How one view sees one entity: the policies' facts and the filters."""

    __slots__ = (
        "entity", "facts", "field_facts", "fields", "filters", "identity", "policy", "reaches",
        "slots",
    )  # fmt: skip

    def __init__(
        self, entity: Entity, policies: PolicySet, identity: Identity,
        filters: Mapping[str, CompiledFilter], reaches: tuple[Reach, ...] = (),
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
        #: What leads to it by `include`.
        self.reaches = reaches

    @property
    def is_followed(self) -> bool:
        """Tell whether rows of it are in view for more than windows."""
        return bool(self.filters or self.reaches)

    def allows(self, row: Row, now: str, reader: ReadConnection) -> bool:
        """Tell whether these callers may see a row."""
        return self.identity.is_system or (
            self.policy.judge(self.facts, row, None, None, now, None, reader.exists) is True
        )

    def is_reached(self, row: Row, now: str, reader: ReadConnection) -> bool:
        """Tell whether a row in view leads to this one."""
        return any(one.holds(reader, self.identity, row, now) for one in self.reaches)

    def is_moved_by(self, one: Slice) -> bool:
        """Tell whether a slice concerns these callers, as far as it says whom."""
        return not self.identity.is_system and one.names(self.identity, self.slots)

    def judge(self, now: str, reader: ReadConnection) -> Judge:
        """Return the judge of this moment."""
        filters = tuple(self.filters.values())

        def ask(row: Row) -> tuple[bool, bool]:
            is_matched = any(one.matches(row, now) for one in filters)
            is_wanted = is_matched or self.is_reached(row, now, reader)
            return self.allows(row, now, reader), is_wanted

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

    def clauses(self, now: str, *, as_set: bool = False) -> tuple[SqlClause, SqlClause]:
        """Return (policy, any filter or include) as SQL over the columns of `t`."""
        policy = (
            NO_CLAUSE
            if self.identity.is_system
            else self.policy.clause(self.identity, alias="t", now=now)
        )
        identity = self.identity
        return policy, any_clause([
            *[one.clause(identity, alias="t", now=now) for one in self.filters.values()],
            *[
                one.leads_to(identity, f't."{one.target}"', now, as_set=as_set)
                for one in self.reaches
            ],
        ])  # fmt: skip

    def image_clause(self, now: str, held: SqlClause | None = None) -> SqlClause | None:
        """Return policy and filters over the image `l.before`; None where SQL is not exact.

        `held` selects entries whose row the policy, which forbids it now, may have shown.
        """
        column = "l.before"
        parts = [
            one.image_clause(self.identity, column=column, now=now) for one in self.filters.values()
        ]
        if not self.identity.is_system:
            policy = self.policy.image_clause(self.identity, column=column, now=now)
        else:
            policy = NO_CLAUSE
        parts += [one.image_clause(self.identity, column, now) for one in self.reaches]
        if policy is None or any(part is None for part in parts):
            return None
        shown = policy if held is None else any_clause([policy, held])
        return both(any_clause([part for part in parts if part is not None]), shown)


def any_clause(clauses: list[SqlClause]) -> SqlClause:
    """Return the clauses joined by OR; none of them select nothing."""
    if not clauses:
        return SqlClause("0", ())
    text = " OR ".join(clause.text for clause in clauses)
    return SqlClause(f"({text})", tuple(one for clause in clauses for one in clause.params))


class View:
    """What a class of connections sees; made by `make_view`."""

    def __init__(
        self, key: Hashable, entities: dict[str, EntityView], reaches: tuple[Reach, ...] = ()
    ) -> None:
        self.key = key
        self.entities = entities
        #: What it shows does not change as time passes.
        self.is_timeless = not any(
            one.policy.uses_now
            or one.fields.uses_now
            or any(each.uses_now for each in one.filters.values())
            or any(each.uses_now for each in one.reaches)
            for one in entities.values()
        )
        #: What it asks of each entity, as its cost is counted.
        self.shapes = {name: (name, tuple(sorted(seen.filters))) for name, seen in entities.items()}
        #: Every hop of every `include`, parents first.
        self.reaches = reaches
        #: Whose rows lead to others, and to whose rows they lead.
        self.parents = frozenset(one.parent.entity.name for one in reaches)
        self.included = frozenset(one.entity.name for one in reaches)
        #: Whose changes may move more than themselves.
        self.follows = self.parents | self.included

    def is_moved_by(self, records: Iterable[LogRecord]) -> bool:
        """Tell whether more than the rows of these records may have moved in this view.

        A slice that concerns it, or a row that leads to others or that others lead to.
        """
        for record in records:
            seen = self.entities.get(record.entity)
            if seen is None:
                continue
            if record.slice is None:
                if record.entity in self.follows:
                    return True
            elif self.is_moved_by_slice(record.slice):
                return True
        return False

    def is_moved_by_slice(self, one: Slice) -> bool:
        """Tell whether a slice concerns rows that this view follows, or that lead to others."""
        seen = self.entities.get(one.entity)
        if seen is None or not (seen.is_followed or one.entity in self.parents):
            return False
        return seen.is_moved_by(one)

    def is_turned(self, records: Iterable[LogRecord], now: str) -> bool:
        """Tell whether a time went by since a row left that a policy compares with it."""
        times = {name: seen.policy.times for name, seen in self.entities.items()}
        return any(
            one.before is not None
            and bool(times.get(one.entity))
            and has_gone_by(times[one.entity], one.before, one.at_ms, now)
            for one in (records if any(times.values()) else ())
        )

    def project(
        self, records: list[LogRecord], newest: dict[tuple[str, str], int], now: str,
        reader: ReadConnection,
    ) -> list[tuple[int, int, bytes]]:  # fmt: skip
        """Return (seq, transaction, change text) of every record that this view sees."""
        judges: dict[str, tuple[Judge, Wire]] = {}
        changes: list[tuple[int, int, bytes]] = []
        for record in records:
            seen = self.entities.get(record.entity)
            if seen is None or not seen.is_followed:
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
    reaches: dict[Hashable, Reach] = {}
    for one in subscriptions:
        by_entity.setdefault(one.entity.name, []).append(one)
        for hop in one.reaches:
            reaches.setdefault(hop.key, hop)
    found: dict[str, list[Reach]] = {}
    for hop in reaches.values():
        found.setdefault(hop.entity.name, []).append(hop)
    entities: dict[str, EntityView] = {}
    key: list[Any] = [definition.generation, identity.is_system]
    for name in sorted({*by_entity, *found}):
        wanted = by_entity.get(name, [])
        entity = definition.schema.entities[name]
        filters = {one.filter_key: one.filter for one in wanted if not one.is_window}
        led = tuple(found.get(name, ()))
        seen = EntityView(entity, definition.policies, identity, filters, led)
        entities[name] = seen
        key.append((name, seen.class_key, tuple(sorted(filters))))
    key.append(frozenset(reaches))
    return View(tuple(key), entities, tuple(reaches.values()))


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
