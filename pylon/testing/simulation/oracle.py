"""What should be true: every version of every row, and who may see it, by the plain reading.

Fed by the log's records as they are committed; knows nothing of sync. Policies are asked by
walking (`policy.reference`), over the rows as they stood at any moment.
"""

from __future__ import annotations

import bisect
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.reference import World, evaluate
from pylon.policy.sqlclause import flat_values
from pylon.schema.model import Row
from pylon.schema.wire import wire_row
from pylon.server.storage.change_log import LogRecord
from pylon.testing.simulation.values import MARK
from pylon.testing.simulation.visibility import read_policies

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_MARK: Final = re.compile(f"{MARK}[0-9]+;")


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a verdict depends on besides the row and the caller."""

    #: Rows that policies look at are as they stood then.
    seq: int
    #: Which of the apps that there were has the say.
    generation: int
    now: str


@dataclass(slots=True)
class Generation:
    """An app, and from when until when (in virtual seconds) it may have had the say."""

    policies: Mapping[str, CompiledPolicy]
    #: By entity, the policies of its guarded fields by name.
    fields: Mapping[str, Mapping[str, CompiledPolicy]]
    until: float = math.inf

    def asked(self, entity: str) -> tuple[CompiledPolicy, ...]:
        """Return all policies that decide what is seen of an entity."""
        return (self.policies[entity], *self.fields[entity].values())


def _generation(definition: AppDefinition) -> Generation:
    fields = {
        name: definition.policies.fields_of(name).policies for name in definition.schema.entities
    }
    return Generation(read_policies(definition), fields)


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

    def __init__(
        self, definition: AppDefinition, seconds: Callable[[], float],
        times: Callable[[float], list[str]],
    ) -> None:  # fmt: skip
        """Make an oracle.

        Args:
            definition: the app as the run begins.
            seconds: tells virtual seconds.
            times: returns what policies may have read as `now` in the last so many seconds,
                newest first.
        """
        self.definition = definition
        self.head = 0
        #: Is told after each commit.
        self.committed: Callable[[], None] = lambda: None
        self._seconds = seconds
        self._times = times
        self._generations = [_generation(definition)]
        self._rows: dict[str, dict[str, History]] = {one: {} for one in definition.schema.entities}
        #: Transactions by operation id: more than one would be a double application.
        self.applied: dict[str, set[int]] = {}
        #: Seqs at which an entity changed: what a verdict over other entities depends on.
        self._changed: dict[str, list[int]] = {one: [] for one in definition.schema.entities}
        self._verdicts: dict[tuple[Any, ...], bool] = {}
        #: By text that no two rows were given: the images that have it.
        self._having: dict[str, list[tuple[str, Row]]] = {}

    # --- what happened

    def take(self, records: Iterable[LogRecord]) -> None:
        """Take records in order; those known already change nothing."""
        for record in records:
            if record.seq <= self.head:
                continue
            self.head = record.seq
            if record.slice is not None:
                continue  # what the server says of a change of view; the change itself was before
            if record.entity not in self._rows:
                continue  # a file that came or went: no row
            found = self._rows[record.entity].setdefault(record.row_id, History())
            found.seqs.append(record.seq)
            found.images.append(record.after)
            self._changed[record.entity].append(record.seq)
            if record.after is not None:
                for mark in set(_MARK.findall(str(record.after))):
                    self._having.setdefault(mark, []).append((record.entity, record.after))
            if record.operation_id is not None:
                self.applied.setdefault(record.operation_id, set()).add(record.tx)

    def return_to(self, seq: int) -> None:
        """Forget what came after a seq: an older copy is in place."""
        for rows in self._rows.values():
            for history in rows.values():
                history.forget_after(seq)
        for seqs in self._changed.values():
            del seqs[bisect.bisect_right(seqs, seq) :]
        for mark, images in self._having.items():
            self._having[mark] = [one for one in images if one[1]["_seq"] <= seq]
        self.applied.clear()
        self._verdicts.clear()
        self.head = seq

    def edit(self, definition: AppDefinition) -> None:
        """Have another app begin to take the say; until `settle` an older one may still have it."""
        self._generations.append(_generation(definition))

    def settle(self) -> None:
        """Note that the newest app alone has the say from now on."""
        for one in self._generations[:-1]:
            one.until = min(one.until, self._seconds())

    def _looked_at(self, entity: str) -> set[str]:
        """Return the entities that the policies of one look at, or did."""
        return {
            node.entity
            for generation in self._generations
            for policy in generation.asked(entity)
            for node in policy.exists
        }

    # --- what is asked

    def moment(self, seq: int | None = None) -> Moment:
        """Return this moment, or one with other rows as they stood at a seq."""
        at = self.head if seq is None else seq
        return Moment(at, len(self._generations) - 1, self._times(0.0)[0])

    def moments(self, entity: str, seqs: Iterable[int], seconds: float) -> list[Moment]:
        """Return the moments of the last seconds that may judge an entity's rows differently.

        Args:
            entity: whose rows.
            seqs: states of other rows, those first that are likeliest.
            seconds: how long ago a moment may be.
        """
        since = self._seconds() - seconds
        names = [
            place for place, one in enumerate(self._generations) if one.until >= since
        ][::-1]  # fmt: skip
        policies = [one for place in names for one in self._generations[place].asked(entity)]
        times = self._times(seconds) if any(one.uses_now for one in policies) else self._times(0.0)
        states = [*seqs] if any(one.exists for one in policies) else [self.head]
        return [Moment(*one) for one in product(states, names, times)]

    def states_since(self, entity: str, seq: int) -> list[int]:
        """Return the seqs from one on at which rows that an entity's policies look at changed."""
        found = {seq}
        for name in self._looked_at(entity):
            seqs = self._changed[name]
            found.update(seqs[bisect.bisect_right(seqs, seq) :])
        return sorted(found)

    def asks_time(self, entity: str) -> bool:
        """Tell whether what is seen of an entity changes as time passes."""
        return any(one.uses_now for one in self._generations[-1].asked(entity))

    def changes(self, entity: str, row_id: str, seq: int) -> list[int]:
        """Return the seqs after one at which a row changed."""
        history = self._rows[entity].get(row_id, History())
        return history.seqs[bisect.bisect_right(history.seqs, seq) :]

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

    def having(self, mark: str) -> list[tuple[str, Row]]:
        """Return the images, with their entities, that have a text."""
        return self._having.get(mark, [])

    def entity_of(self, row_id: str) -> list[str]:
        """Return the entities that have or had a row of this id."""
        return [name for name, rows in self._rows.items() if row_id in rows]

    def may_read(
        self, identity: Identity, entity: str, row: Row, moment: Moment | None = None
    ) -> bool:
        """Tell whether the read policy allows a row, by default now."""
        at = moment or self.moment()
        policy = self._generations[at.generation].policies[entity]
        return self._holds(policy, identity, row, at)

    def seen(
        self, identity: Identity, entity: str, row: Row, moment: Moment | None = None
    ) -> dict[str, Any] | None:
        """Return a row as a caller gets it, by default now; None where he may not read it."""
        at = moment or self.moment()
        if not self.may_read(identity, entity, row, at):
            return None
        fields = self._generations[at.generation].fields[entity]
        return {
            name: value
            for name, value in wire_row(self.definition.schema.entities[entity], row).items()
            if name not in fields or self._holds(fields[name], identity, row, at)
        }

    def _holds(self, policy: CompiledPolicy, identity: Identity, row: Row, at: Moment) -> bool:
        depends = tuple(
            bisect.bisect_right(self._changed[one.entity], at.seq) for one in policy.exists
        )
        now = at.now if policy.uses_now else ""
        key = (policy.where, row["id"], row["_seq"], identity, at.generation, now, depends)
        if key not in self._verdicts:
            world = World(
                identity=identity, data=row, now=at.now,
                lookup=lambda node, values: self._exists(node, values, at.seq),
            )  # fmt: skip
            self._verdicts[key] = evaluate(policy.condition, world) is True
        return self._verdicts[key]

    def _exists(self, node: ir.ExistsNode, values: tuple[Any, ...], seq: int) -> bool:
        return any(_matches(node, values, row) for row in self.rows(node.entity, seq))

    def visible(
        self, identity: Identity, entity: str, where: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Return the wire rows that a caller may see now and that match."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows(entity):
            wire = self.seen(identity, entity, row)
            if wire is not None and matches(wire, where):
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
