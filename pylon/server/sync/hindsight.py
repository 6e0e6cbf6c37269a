"""What a caller may hold that the policy hides now: rows that left before it changed its mind.

Catch-up asks of a row's earlier image whether it was in view, by the state now. Where a later
slice, or a time that went by, turned the answer, a replica between two pages has the row, and
nothing that comes later is sure to name it: that slice is told to all whom rows of after the cursor
allow. So the row's delete is told, by id alone. Slices that name callers, or the whole entity,
reach every replica by themselves and need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pylon import jsonvalue, limits
from pylon.clock import Clock, iso_ms
from pylon.policy import ir
from pylon.policy.compiled import CompiledExpression, CompiledFilter
from pylon.policy.ir import TypeKind, ValueType
from pylon.policy.slices import Slice, Where, collapsed, slice_from_json
from pylon.policy.sqlclause import SqlClause, both, moved
from pylon.policy.timing import TURN_SLACK_MS
from pylon.schema.model import Entity, FieldKind, Row
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage import sync_select
from pylon.server.storage.change_log import LogRecord, time_after
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.turns import ahead_of_the_log
from pylon.server.sync.refreshing import filter_of, where_of
from pylon.server.sync.view import EntityView, any_clause

#: More slices than this are looked up by value, in Python, instead of compared one by one in SQL.
_IN_SQL: Final = 24


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What turned a policy's answers about an entity after entries of a page."""

    seen: EntityView
    now: str
    #: The last seq of each slice behind the page's beginning that is told to all.
    slices: Mapping[Where, int]
    #: Rows with a time that went by since the page's first entry.
    turned: CompiledFilter | None

    def clause(self) -> SqlClause | None:
        """Return the same as `held`, without filters, over `l`; None where SQL cannot say it."""
        if len(self.slices) > _IN_SQL:
            return None
        policy = self.seen.policy
        parts: list[SqlClause] = []
        for where, last in self.slices.items():
            image = self._image(filter_of(self.seen.entity, where))
            if image is None:
                return None
            parts.append(both(SqlClause("l.seq < ?", (last,)), image))
        found: list[SqlClause] = []
        if parts:
            could = self._image(policy.relaxed)
            if could is None:
                return None
            found.append(both(any_clause(parts), could))
        if self.turned is not None:
            turned, could = self._image(self.turned), self._image(policy.timeless)
            if turned is None or could is None:
                return None
            found.append(both(turned, could))
        return any_clause(found)

    def _image(self, one: CompiledExpression) -> SqlClause | None:
        return one.image_clause(self.seen.identity, column="l.before", now=self.now)

    def held(self, record: LogRecord, reader: ReadConnection) -> bool:
        """Tell whether the policy may have shown what a row was before an entry."""
        row = record.before
        assert row is not None, "only rows that were there leave"
        policy, identity, now = self.seen.policy, self.seen.identity, self.now
        if self._has_slice(record.seq, row) and policy.relaxed.holds(
            identity, row, now, reader.exists
        ):
            return True
        return (
            self.turned is not None
            and self.turned.matches(row, now)
            and policy.timeless.holds(identity, row, now, reader.exists)
        )

    def _has_slice(self, seq: int, row: Row) -> bool:
        shapes = dict.fromkeys(tuple(name for name, _ in where) for where in self.slices)
        return any(
            self.slices.get(tuple((name, row[name]) for name in shape), 0) > seq for shape in shapes
        )


def read_hindsight(
    connection: ReadConnection, seen: EntityView, after: int, now: str
) -> Hindsight | None:
    """Return what turned after entries behind `after`; None where nothing did.

    Inside the read transaction of the page.
    """
    policy = seen.policy
    if seen.identity.is_system or not (policy.exists or policy.uses_now):
        return None
    name, raw = seen.entity.name, connection.raw
    slices: dict[Where, int] = {}
    for seq, text in sync_select.slices_after(raw, name, after):
        one = slice_from_json(name, jsonvalue.decode_trusted(text))
        if one.who is None and (where := where_of(seen.entity, one)):
            slices[where] = seq
    ahead = collapsed(ahead_of_the_log(connection, policy.looked_times, now))
    for one in ahead:
        if one.who is None and (where := where_of(seen.entity, one)):
            slices[where] = limits.SAFE_INTEGER_MAX
    turned = None
    if policy.times and (first := time_after(raw, after)) is not None:
        turned = _turned(seen.entity, policy.times, iso_ms(first - TURN_SLACK_MS))
    return Hindsight(seen, now, slices, turned) if slices or turned is not None else None


def told_later(
    database: Database, seq: int, definitions: DefinitionHolder, clock: Clock
) -> list[Slice]:
    """Return the slices behind `seq`, of which answers of just now may know already.

    Live questions are asked of the state now: what this turn had no time for, commits that nobody
    heard of yet, and times that went by just now, are in it. Whom such a slice concerns goes on
    from the log.
    """
    reader = database.readers.inline
    found = sync_select.slices_between(reader.raw, seq, limits.SAFE_INTEGER_MAX)
    told = [slice_from_json(name, jsonvalue.decode_trusted(text)) for _, _, name, text in found]
    rules, now = definitions.current.timing.rules, iso_ms(clock.now_ms())
    return told + collapsed(ahead_of_the_log(reader, rules, now))


def _turned(entity: Entity, times: tuple[tuple[str, int], ...], since: str) -> CompiledFilter:
    """Return what selects rows of which a time went by between a moment and now."""
    kind = ValueType(TypeKind.DATETIME)
    terms: list[ir.Condition] = []
    for name, ms in times:
        column = ir.Column("data", name, kind, nullable=True, field_kind=FieldKind.DATETIME)
        low = ir.Const(moved(since, ms), kind)
        after, before = ir.Cmp(">=", column, low), ir.Cmp("<=", column, ir.Now(ms, kind))
        terms.append(ir.Conjunction((after, before)))
    return CompiledFilter("", ir.Disjunction(tuple(terms)), f"turns of {entity.name}")
