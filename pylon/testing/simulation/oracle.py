"""What should be true: every version of every row, and who may see it, by the plain reading.

Fed by the log's records as they are committed; knows nothing of sync. Policies are asked by
walking (`policy.reference`), over the rows as they stood at any moment.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.reference import World, evaluate
from pylon.policy.sqlclause import flat_values
from pylon.schema.model import Access, Row
from pylon.schema.wire import wire_row
from pylon.server.storage.change_log import LogRecord

#: Rows that a policy shows or hides because another entity's row changed are sent by the server
#: with their own next change only. Once it sends them at once, this is True and nothing is excused.
HAS_SLICES: Final = False

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
Key = tuple[str, str]


def conditional_entities(definition: AppDefinition) -> list[str]:
    """Return the entities whose read policy looks at other rows, or at the time."""
    policies = {
        name: definition.policies.get(name, Access.READ) for name in definition.schema.entities
    }
    return [name for name, one in policies.items() if one.exists or one.uses_now]


@dataclass(slots=True)
class History:
    """The versions of one row: at which seq, and what it was from then on."""

    seqs: list[int] = field(default_factory=list)
    images: list[Row | None] = field(default_factory=list)

    def at(self, seq: int) -> Row | None:
        """Return the row as it stood at a seq."""
        place = bisect.bisect_right(self.seqs, seq)
        return self.images[place - 1] if place else None

    def version(self, seq: int) -> Row | None:
        """Return what was written at exactly this seq."""
        place = bisect.bisect_left(self.seqs, seq)
        is_there = place < len(self.seqs) and self.seqs[place] == seq
        return self.images[place] if is_there else None

    def versions(self, seq: int) -> list[Row]:
        """Return what the row has been up to a seq: somebody away may still hold any of it."""
        place = bisect.bisect_right(self.seqs, seq)
        return [one for one in self.images[:place] if one is not None]

    def forget_after(self, seq: int) -> None:
        """Drop what a restored copy does not have."""
        place = bisect.bisect_right(self.seqs, seq)
        del self.seqs[place:], self.images[place:]


class Oracle:
    """The truth about one app's rows."""

    def __init__(self, definition: AppDefinition) -> None:
        self.definition = definition
        self.head = 0
        #: Tells the time as policies read it.
        self.now: Callable[[], str] = lambda: ""
        self._rows: dict[str, dict[str, History]] = {one: {} for one in definition.schema.entities}
        #: Transactions by operation id: more than one would be a double application.
        self.applied: dict[str, set[int]] = {}
        self._policies = {
            name: definition.policies.get(name, Access.READ) for name in definition.schema.entities
        }
        self._fields = {
            name: definition.policies.fields_of(name).policies
            for name in definition.schema.entities
        }
        #: Seqs at which an entity changed: what a verdict over other entities depends on.
        self._changed: dict[str, list[int]] = {one: [] for one in definition.schema.entities}
        self._verdicts: dict[tuple[Any, ...], bool] = {}
        #: By caller, rows whose judgement another entity's change has turned.
        self._turned: dict[Identity, set[Key]] = {}

    # --- what happened

    def take(self, records: Iterable[LogRecord]) -> None:
        """Take records in order; those known already change nothing."""
        fresh = [one for one in records if one.seq > self.head]
        before = self.head
        for record in fresh:
            found = self._rows[record.entity].setdefault(record.row_id, History())
            found.seqs.append(record.seq)
            found.images.append(record.after)
            self._changed[record.entity].append(record.seq)
            if record.operation_id is not None:
                self.applied.setdefault(record.operation_id, set()).add(record.tx)
            self.head = record.seq
        if fresh and not HAS_SLICES:
            self._note_turned(before, {one.entity for one in fresh})

    def return_to(self, seq: int) -> None:
        """Forget what came after a seq: an older copy is in place."""
        for rows in self._rows.values():
            for history in rows.values():
                history.forget_after(seq)
        for seqs in self._changed.values():
            del seqs[bisect.bisect_right(seqs, seq) :]
        self.applied.clear()
        self._verdicts.clear()
        self.head = seq

    def _note_turned(self, before: int, entities: set[str]) -> None:
        for name in self._policies:
            looked = {one.entity for each in self._all(name) for one in each.exists}
            if not entities & looked:
                continue
            for identity, turned in self._turned.items():
                for row_id, history in self._rows[name].items():
                    if (name, row_id) in turned:
                        continue
                    # Also what it was before: the change from that is judged by what is so now.
                    if any(self._turns(identity, name, one, before) for one in
                           history.versions(before)):  # fmt: skip
                        turned.add((name, row_id))

    def _turns(self, identity: Identity, entity: str, image: Row, before: int) -> bool:
        return any(
            self._holds(one, identity, entity, image, before)
            != self._holds(one, identity, entity, image, self.head)
            for one in self._all(entity)
        )

    def _all(self, entity: str) -> tuple[CompiledPolicy, ...]:
        """Return an entity's read policy and those of its fields."""
        return (self._policies[entity], *self._fields[entity].values())

    # --- what is asked

    def follow(self, identity: Identity) -> None:
        """Keep account of rows that turn for a caller from now on."""
        self._turned.setdefault(identity, set())

    def asks_time(self, entity: str) -> bool:
        """Tell whether an entity's policy changes its mind as time passes."""
        return any(one.uses_now for one in self._all(entity))

    def is_excused(self, identity: Identity, entity: str, row_id: str) -> bool:
        """Tell whether the present promise says nothing about a row for a caller."""
        return self.asks_time(entity) or (entity, row_id) in self._turned.get(identity, ())

    def is_conditional(self, entity: str) -> bool:
        """Tell whether an entity's policy looks at other rows, or at the time."""
        return any(one.exists or one.uses_now for one in self._all(entity))

    def version(self, entity: str, row_id: str, seq: int) -> Row | None:
        """Return the row as written at a seq."""
        history = self._rows[entity].get(row_id)
        return None if history is None else history.version(seq)

    def row(self, entity: str, row_id: str, seq: int | None = None) -> Row | None:
        """Return a row as it stood at a seq, by default now."""
        history = self._rows[entity].get(row_id)
        return None if history is None else history.at(self.head if seq is None else seq)

    def rows(self, entity: str, seq: int | None = None) -> Iterator[Row]:
        """Visit the rows of an entity as they stood at a seq."""
        at = self.head if seq is None else seq
        for history in self._rows[entity].values():
            row = history.at(at)
            if row is not None:
                yield row

    def entity_of(self, row_id: str) -> list[str]:
        """Return the entities that have or had a row of this id."""
        return [name for name, rows in self._rows.items() if row_id in rows]

    def may_read(self, identity: Identity, entity: str, row: Row, seq: int) -> bool:
        """Tell whether the read policy allows a row, other rows being as they stood at a seq."""
        return self._holds(self._policies[entity], identity, entity, row, seq)

    def wire_of(self, identity: Identity, entity: str, row: Row, seq: int) -> dict[str, Any]:
        """Return a row as a caller who may read it gets it, as of a seq."""
        fields = self._fields[entity]
        return {
            name: value
            for name, value in wire_row(self.definition.schema.entities[entity], row).items()
            if name not in fields or self._holds(fields[name], identity, entity, row, seq)
        }

    def _holds(
        self, policy: CompiledPolicy, identity: Identity, entity: str, row: Row, seq: int
    ) -> bool:
        depends = tuple(
            bisect.bisect_right(self._changed[one.entity], seq) for one in policy.exists
        )
        key = (policy.where, row["id"], row["_seq"], identity, depends)
        if policy.uses_now:
            return self._judge(policy, identity, row, seq)
        if key not in self._verdicts:
            self._verdicts[key] = self._judge(policy, identity, row, seq)
        return self._verdicts[key]

    def _judge(self, policy: CompiledPolicy, identity: Identity, row: Row, seq: int) -> bool:
        world = World(
            identity=identity, data=row, now=self.now(),
            lookup=lambda node, values: self._exists(node, values, seq),
        )  # fmt: skip
        return evaluate(policy.condition, world) is True

    def _exists(self, node: ir.ExistsNode, values: tuple[Any, ...], seq: int) -> bool:
        return any(_matches(node, values, row) for row in self.rows(node.entity, seq))

    def visible(
        self, identity: Identity, entity: str, where: Mapping[str, Any], seq: int | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the wire rows that a caller may see and that match, as of a seq."""
        at = self.head if seq is None else seq
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows(entity, at):
            if self.may_read(identity, entity, row, at):
                wire = self.wire_of(identity, entity, row, at)
                if matches(wire, where):
                    found[row["id"]] = wire
        return found


def _matches(node: ir.ExistsNode, values: tuple[Any, ...], row: Row) -> bool:
    place = 0
    for one in node.filters:
        count = len(flat_values(one))
        given, place = values[place : place + count], place + count
        stored = row.get(one.field)
        if one.value is None:
            if (stored is None) is not (one.op == "=="):
                return False
            continue
        if stored is None:
            return False
        if one.op in ("in", "not in"):
            listed = given if isinstance(one.value, tuple) else jsonvalue.decode_trusted(given[0])
            if (stored in listed) is not (one.op == "in"):
                return False
        elif not _OPERATORS[one.op](stored, given[0]):
            return False
    return True


def matches(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Tell whether a wire row matches a simple filter: equality, or one comparison a field."""
    for name, wanted in where.items():
        value = row.get(name)
        if isinstance(wanted, dict):
            [(op, operand)] = wanted.items()
            if value is None or not _OPERATORS[op](value, operand):
                return False
        elif value != wanted or type(value) is not type(wanted):
            return False
    return True
