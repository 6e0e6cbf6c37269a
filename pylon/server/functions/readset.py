"""What one run of a query function looked at, and what it asked of its caller.

A run with the same answers from its caller over the same rows ends the same way: so a change that
touches nothing of this needs no new run, and a caller who would have answered alike may be given
the value of another's run. Kept by predicate, not by the rows found, so that a row that enters
counts. What does not live here: who is told (`server.sync.live_answers`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pylon import limits_live
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.compiled import CompiledExpression, CompiledFilter, no_lookup
from pylon.policy.fields import FieldPolicies
from pylon.policy.ir import TypeKind
from pylon.policy.matching import satisfies, values_at
from pylon.policy.slots import answer
from pylon.policy.sqlclause import flat_values
from pylon.schema.model import Entity, Row, Value
from pylon.server.functions.asked import Asked, typed
from pylon.server.storage.select import OrderTerm, stands_before

if TYPE_CHECKING:
    from pylon.server.storage.readers import ReadConnection

#: Values that are equal in Python where they are equal in SQLite, and can be looked up.
_PINNABLE: Final = frozenset({TypeKind.TEXT, TypeKind.BOOL, TypeKind.NUMBER})
_UNKNOWN: Final = object()

#: What a field of a row must equal to be selected.
Pins = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """The rows that a list or a count selects, among those that their reader may see."""

    pins: Pins
    #: None where only the pins tell.
    filter: CompiledFilter | None
    facts: tuple[Hashable, ...] = ()
    #: What lets rows be seen, where they alone decide; None where more does, or nothing.
    policy: CompiledExpression | None = None
    policy_facts: tuple[Hashable, ...] = ()
    #: Of a list that found as many rows as it wanted: its order, and the last of them.
    order: tuple[OrderTerm, ...] = ()
    last: tuple[Value, ...] = ()

    def concerns(self, before: Row | None, after: Row | None) -> bool:
        """Tell whether a change may add a row to it, take one away, or alter one of it."""
        return self._has(before) or self._has(after)

    def _has(self, image: Row | None) -> bool:
        if image is None or any(image.get(name) != value for name, value in self.pins):
            return False
        if self.order:
            values = [image.get(term.field) for term in self.order]
            if not stands_before(self.order, values, self.last):
                return False
        one, policy = self.filter, self.policy
        is_selected = one is None or (
            one.judge(self.facts, image, None, None, "", one.args, no_lookup) is True
        )
        return is_selected and (
            policy is None
            or policy.judge(self.policy_facts, image, None, None, "", None, no_lookup) is True
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows that an `exists` looks for, as far as its right-hand sides are known."""

    node: ir.ExistsNode
    #: By place in the node's filters; `None` for one that is not known.
    values: tuple[tuple[Value, ...] | None, ...]

    @property
    def pins(self) -> Pins:
        """Return what is known to be equal."""
        return tuple(
            (one.field, values[0])
            for one, values in zip(self.node.filters, self.values, strict=True)
            if one.op == "==" and one.value is not None and values
        )

    def concerns(self, before: Row | None, after: Row | None) -> bool:
        """Tell whether a change may turn its answer."""
        if before is not None and after is not None:
            names = {one.field for one in self.node.filters}
            if all(before.get(name) == after.get(name) for name in names):
                return False
        return self._has(before) or self._has(after)

    def _has(self, image: Row | None) -> bool:
        return image is not None and all(
            values is None or satisfies(one, values, image.get(one.field))
            for one, values in zip(self.node.filters, self.values, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Holds:
    """The rows of an entity that hold a file: whoever may read one of them may read the file."""

    file_id: str
    fields: tuple[str, ...]
    pins: Pins = ()

    def concerns(self, before: Row | None, after: Row | None) -> bool:
        """Tell whether a change is of such a row, as it was or as it is."""
        return self._has(before) or self._has(after)

    def _has(self, image: Row | None) -> bool:
        held = () if image is None else (image.get(name) for name in self.fields)
        return any(one is not None and one["id"] == self.file_id for one in held)


Test = Selected | Looked | Holds


@dataclass(slots=True)
class EntityReads:
    """What was looked at of one entity."""

    rows: set[str] = field(default_factory=set)
    tests: dict[Hashable, Test] = field(default_factory=dict)
    #: Any change of it counts.
    is_whole: bool = False

    def concerns(self, row_id: str, before: Row | None, after: Row | None) -> bool:
        """Tell whether a change touches anything of it."""
        return (
            self.is_whole
            or row_id in self.rows
            or any(one.concerns(before, after) for one in self.tests.values())
        )


class ReadSet:
    """What one run looked at; filled while it runs."""

    def __init__(self) -> None:
        self.entities: dict[str, EntityReads] = {}
        #: It asked for the time, or for what changes without a change of a row.
        self.is_timed = False
        self._asked: dict[int, CompiledExpression] = {}
        self._fields: dict[int, FieldPolicies] = {}
        self._is_about_caller = False
        self._is_about_sign_in = False
        self._size = 0

    # --- noting

    def note_row(self, entity: str, row_id: str) -> None:
        """Note that a row was asked for by its id, whether there is one or not."""
        self._of(entity).rows.add(row_id)
        self._grow(entity)

    def note_selection(
        self, entity: str, policy: CompiledExpression | None, selected: CompiledFilter | None,
        identity: Identity, order: tuple[OrderTerm, ...] = (), last: Row | None = None,
    ) -> None:  # fmt: skip
        """Note that rows were asked for by a filter, among those that a policy lets through.

        Args:
            entity: whose rows.
            policy: what decides which of them the reader may see; None for all.
            selected: the filter; None for all.
            identity: who reads.
            order: what a list is in the order of.
            last: the last row of a list that is as long as it may be: none behind it counts.
        """
        pins: dict[str, Value] = {}
        for one in (policy, selected):
            if one is not None:
                pins |= pins_of(one, identity, getattr(one, "args", None))
        if policy is not None:
            self.note_policy(policy, identity, pins)
        facts: tuple[Hashable, ...] = ()
        policy_facts: tuple[Hashable, ...] = ()
        if policy is not None:
            policy_facts = policy.facts(identity)
            if policy.exists or policy.uses_now:
                policy = None
        if selected is not None:
            self.note_policy(selected, identity, pins, selected.args)
            facts = selected.facts(identity)
            if selected.exists or selected.uses_now:
                selected = None  # other rows and the time decide as well
        if last is None:
            order = ()
        bound = tuple(None if last is None else last[term.field] for term in order)
        made = Selected(
            tuple(sorted(pins.items())), selected, facts, policy, policy_facts, order, bound
        )
        key = (
            id(selected), typed(facts), id(policy), typed(policy_facts), typed(made.pins), order,
            typed(bound),
        )  # fmt: skip
        self._add(entity, key, made)

    def note_policy(
        self, policy: CompiledExpression, identity: Identity,
        pins: Mapping[str, Value] | None = None, args: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Note that SQLite judges rows by an expression.

        Args:
            policy: the expression.
            identity: whom it is asked for.
            pins: what fields of those rows must equal anyhow.
            args: its arguments.
        """
        self.note_asked(policy)
        for node in policy.exists:
            values = tuple(_known(one, identity, pins or {}, args) for one in node.filters)
            self._add(node.entity, (node, typed(values)), Looked(node, values))

    def note_asked(self, expression: CompiledExpression) -> None:
        """Note that the caller was asked what an expression asks of him."""
        self._asked[id(expression)] = expression
        self.is_timed = self.is_timed or expression.uses_now

    def note_fields(self, fields: FieldPolicies) -> None:
        """Note that the caller was asked which fields he can name and get."""
        if fields:
            self._fields[id(fields)] = fields
            self.is_timed = self.is_timed or fields.uses_now

    def note_exists(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> None:
        """Note that an `exists` was asked with these right-hand values."""
        known = tuple(values_at(node, values, place) for place in range(len(node.filters)))
        self._add(node.entity, (node, typed(known)), Looked(node, known))

    def note_file(self, entity: str, fields: tuple[str, ...], file_id: str) -> None:
        """Note that it was asked which rows of an entity hold a file in these fields."""
        self._add(entity, (Holds, file_id), Holds(file_id, fields))

    def note_caller(self) -> None:
        """Note that the function looked at who calls."""
        self._is_about_caller = True

    def note_sign_in(self) -> None:
        """Note that it was asked whether anybody is signed in."""
        self._is_about_sign_in = True

    def note_time(self) -> None:
        """Note that the function looked at the time, or at what nobody logs."""
        self.is_timed = True

    def _of(self, entity: str) -> EntityReads:
        found = self.entities.get(entity)
        if found is None:
            found = self.entities[entity] = EntityReads()
        return found

    def _add(self, entity: str, key: Hashable, test: Test) -> None:
        reads = self._of(entity)
        if not reads.is_whole and key not in reads.tests:
            reads.tests[key] = test
            self._grow(entity)

    def _grow(self, entity: str) -> None:
        """Keep less of it in detail where it has become too much."""
        self._size += 1
        reads = self.entities[entity]
        if len(reads.rows) + len(reads.tests) > limits_live.LIVE_READS_MAX:
            self.entities[entity] = EntityReads(is_whole=True)

    # --- asking

    @property
    def asked(self) -> Asked:
        """Return what was asked of the caller so far."""
        policies = [one for each in self._fields.values() for one in each.policies.values()]
        slots = [one.slots for one in (*self._asked.values(), *policies)]
        return Asked(
            frozenset(chain.from_iterable(slots)), self._is_about_caller, self._is_about_sign_in
        )


class RecordingReader:
    """Reads as another does, and notes what is asked by an `exists`."""

    def __init__(self, reader: ReadConnection, reads: ReadSet) -> None:
        self._reader = reader
        self._reads = reads
        self.tables = reader.tables

    def get(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row, or None."""
        return self._reader.get(entity, row_id)

    def stand_in(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row to judge in the place of one that is missing."""
        return self._reader.stand_in(entity, row_id)

    def exists(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists` of a policy."""
        self._reads.note_exists(node, values)
        return self._reader.exists(node, values)


# --- what is known of right-hand sides ---------------------------------------------------


def pins_of(
    expression: CompiledExpression, identity: Identity, args: Mapping[str, Any] | None = None
) -> dict[str, Value]:
    """Return what fields of a row must equal wherever the expression is true of it."""
    found: dict[str, Value] = {}
    stack = [expression.condition]
    while stack:
        node = stack.pop()
        if isinstance(node, ir.Conjunction):
            stack += node.items
        elif isinstance(node, ir.Cmp) and node.op == "==":
            for column, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(column, ir.Column) and column.type.kind in _PINNABLE:
                    value = _value(other, identity, {}, args)
                    if value is not _UNKNOWN and value is not None:
                        found.setdefault(column.name, value)
    return found


def _known(
    one: ir.ExistsFilter,
    identity: Identity,
    pins: Mapping[str, Value],
    args: Mapping[str, Any] | None,
) -> tuple[Value, ...] | None:
    """Return the right-hand values of one filter of an `exists`; None where one is not known."""
    if one.value is None:
        return ()
    is_list = one.op in ("in", "not in") and not isinstance(one.value, tuple)
    values = tuple(_value(value, identity, pins, args) for value in flat_values(one))
    # What is absent makes an `exists` unknown; a list comes in another form than it is stored in.
    is_plain = not is_list and all(value is not _UNKNOWN and value is not None for value in values)
    return values if is_plain else None


def _value(
    node: ir.Value, identity: Identity, pins: Mapping[str, Value], args: Mapping[str, Any] | None
) -> Any:
    match node:
        case ir.Const(value):
            return value
        case ir.Fact(slot):
            return answer(slot, identity)
        case ir.Argument(name) if args is not None:
            value = args.get(name)
            return value if type(value) in (str, bool, int) else _UNKNOWN
        case ir.Column(_, name):
            return pins.get(name, _UNKNOWN)
        case _:
            return _UNKNOWN
