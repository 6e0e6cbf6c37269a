"""A real world in which conditions come out so: a caller, a row, and the rows of other entities.

A world that is found proves that there is one: its rows keep their fields' bounds, unique indexes
and references, and the reference interpreter judged it. That none is found proves nothing. What is
tried is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pylon import limits
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.policy import ir
from pylon.policy.abstract import FALSE, TRUE, UNKNOWN, Who
from pylon.policy.ir import SlotKind
from pylon.policy.matching import matches
from pylon.policy.reference import World, evaluate
from pylon.policy.slots import walk
from pylon.policy.sqlclause import shifted_now
from pylon.policy.worlds import Want
from pylon.schema.constraints import constraint_of
from pylon.schema.model import Entity, Field, FieldKind, Row, Schema

T = TypeVar("T")
_NOW = "2026-01-01T00:00:00.000Z"
_IDS = ("a1", "a2", "a3")
_FEW = 3
_MASKS = {True: TRUE, False: FALSE, None: UNKNOWN}


class _Impossible(Exception):
    """This try leads to no world."""


class _Dice:
    """Chance that is the same every time."""

    def __init__(self) -> None:
        self._state = 20_261_123

    def below(self, count: int) -> int:
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self._state >> 33) % count

    def one_of(self, items: Sequence[T]) -> T:
        if not items:
            raise _Impossible
        return items[self.below(len(items))]


@dataclass(frozen=True, slots=True)
class FoundWorld:
    """A world, and the rows of the other entities in it."""

    world: World
    rows: dict[str, list[Row]]


@dataclass(slots=True)
class _Maker:
    """Makes worlds out of what the conditions speak of."""

    schema: Schema
    entity: Entity
    who: Who
    dice: _Dice = field(default_factory=_Dice)
    looked_at: dict[str, Entity] = field(default_factory=dict)
    constants: list[Any] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)
    claims: list[ir.Slot] = field(default_factory=list)
    times: list[str] = field(default_factory=lambda: [_NOW])
    rows: dict[str, list[Row]] = field(default_factory=dict)
    #: Values by entity and field: what they are made of is learned before the first is asked for.
    _values: dict[int, list[Any]] = field(default_factory=dict)
    #: By entity, the fields that conditions ask about.
    _named: dict[str, set[str]] = field(default_factory=dict)
    #: By entity, the fields that matter.
    _fields: dict[str, list[Field]] = field(default_factory=dict)
    #: Few values of each kind in one world, so that fields are equal now and then.
    _few: dict[FieldKind, list[Any]] = field(default_factory=dict)

    def learn(self, nodes: Iterable[Any]) -> None:
        """Take in what a condition compares with."""
        for node in nodes:
            match node:
                case ir.Const(value) if value is not None:
                    self.constants += [value, *_beside(value)]
                case ir.Now(ms) | ir.Moved(_, ms) if ms:
                    self.times += [
                        shifted_now(_NOW, sign * ms + beside)
                        for sign in (1, -1) for beside in (-1_000, 0, 1_000)
                    ]  # fmt: skip
                case ir.ExistsNode(entity, filters):
                    self.looked_at[entity] = self.schema.entities[entity]
                    named = self._named.setdefault(entity, set())
                    named |= {one.field for one in filters}
                case ir.Column(_, name):
                    self._named.setdefault(self.entity.name, set()).add(name)
                case ir.Fact(slot) if slot.kind is SlotKind.CLAIM:
                    self.claims.append(slot)
                case ir.FactHolds(slot) if slot.kind is SlotKind.HAS_ANY_ROLE:
                    self.roles |= set(slot.names)

    def world(self) -> World:
        """Return one more world; raises _Impossible."""
        self.rows = {name: [] for name in self.looked_at}
        self._few = {}
        ids = {name: [one for one in _IDS if self.dice.below(2)] for name in self.looked_at}
        caller = self._caller(ids)
        for name, entity in self.looked_at.items():
            for row_id in ids[name]:
                self._add(entity, self._row(entity, row_id, ids))
        row_id = self.dice.one_of(_IDS)
        old = self._row(self.entity, row_id, ids)
        new = self._row(self.entity, row_id, ids)
        for one in self._fields_of(self.entity):
            if one.immutable or self.dice.below(2):
                new[one.name] = old[one.name]
        return World(identity=caller, data=new, old=old, new=new, now=_NOW, lookup=self._lookup)

    def _caller(self, ids: dict[str, list[str]]) -> Identity:
        if self.who is Who.ANONYMOUS or (self.who is Who.ANYBODY and not self.dice.below(4)):
            return ANONYMOUS
        texts = [one for one in self.constants if isinstance(one, str)]
        claims: dict[str, Any] = {}
        for slot in self.claims:
            if len(slot.names) == 1 and self.dice.below(3):
                claims[slot.names[0]] = self.dice.one_of([*self.constants, *_IDS, 1, True])
        return Identity(
            kind=IdentityKind.USER,
            user_id=self.dice.one_of(ids.get("User", _IDS)),
            email=self.dice.one_of([None, "ada@example.com", *texts]),
            roles=frozenset(one for one in sorted(self.roles) if not self.dice.below(3)),
            claims=claims,
        )

    def _add(self, entity: Entity, row: Row) -> None:
        """Put a row in, unless a unique index stands against it."""
        uniques = [one.fields for one in entity.indexes if one.unique]
        uniques += [(one.name,) for one in entity.fields if one.unique]
        for other in self.rows[entity.name]:
            for names in uniques:
                values = [row[name] for name in names]
                if None not in values and values == [other[name] for name in names]:
                    raise _Impossible
        self.rows[entity.name].append(row)

    def _row(self, entity: Entity, row_id: str, ids: dict[str, list[str]]) -> Row:
        row: Row = {"id": row_id, "_seq": 1}
        for one in self._fields_of(entity):
            row[one.name] = self._value(one, ids)
        return row

    def _fields_of(self, entity: Entity) -> list[Field]:
        """Return the fields that a condition, a unique index or a reference here asks about.

        The others can have any value of theirs, and have none here.
        """
        if entity.name not in self._fields:
            names = self._named.get(entity.name, set()) | {
                name for one in entity.indexes if one.unique for name in one.fields
            }
            self._fields[entity.name] = [
                one
                for one in entity.fields
                if one.name in names or one.unique or one.ref in self.looked_at
            ]
        return self._fields[entity.name]

    def _value(self, one: Field, ids: dict[str, list[str]]) -> Any:
        if one.nullable and not self.dice.below(4):
            return None
        if one.kind is FieldKind.REF:
            known = ids.get(one.ref or "")
            return self.dice.one_of(_IDS if known is None else known)
        if id(one) not in self._values:
            self._values[id(one)] = [
                value for value in self._field_options(one) if _is_valid(one, value)
            ]
        values = self._values[id(one)]
        if one.kind not in self._few:
            self._few[one.kind] = [self.dice.one_of(values) for _ in range(_FEW)]
        few = [value for value in self._few[one.kind] if value in values]
        return self.dice.one_of(few or values)

    def _field_options(self, one: Field) -> list[Any]:
        if one.kind is not FieldKind.LIST:
            return self._options(one)
        if one.item in (None, FieldKind.JSON):
            return [[]]
        options = self._options(Field(name=one.name, kind=one.item, choices=one.choices))
        return [[], *([option] for option in options)]

    def _options(self, one: Field) -> list[Any]:
        """Return values of a field's kind, those first that the conditions speak of."""
        match one.kind:
            case FieldKind.ENUM:
                return list(one.choices)
            case FieldKind.BOOL:
                return [True, False]
            case FieldKind.STR | FieldKind.TEXT:
                texts = [value for value in self.constants if isinstance(value, str)]
                return [*texts, *_IDS, "", "ada@example.com"]
            case FieldKind.REF:
                return list(_IDS)
            case FieldKind.INT | FieldKind.BIGINT | FieldKind.DECIMAL:
                whole = [value for value in self.constants if type(value) is int]
                most = limits.SAFE_INTEGER_MAX
                return [*(value for value in whole if abs(value) <= most), 0, 1]
            case FieldKind.FLOAT:
                numbers = [value for value in self.constants if type(value) in (int, float)]
                return [*(float(value) for value in numbers if abs(value) <= 2**53), 0.5]
            case FieldKind.DATETIME:
                return [*(value for value in self.constants if _is_time(value)), *self.times]
            case FieldKind.DATE:
                days = [value for value in self.constants if _is_day(value)]
                return [*days, "2026-01-01", "2025-06-01"]
            case FieldKind.BYTES:
                return [b""]
            case _:
                return [{}]

    def _lookup(self, node: ir.ExistsNode, values: tuple[Any, ...]) -> bool:
        return any(matches(node, values, row) for row in self.rows[node.entity])


def _is_valid(one: Field, value: Any) -> bool:
    """Tell whether a field's bounds allow a value."""
    check = constraint_of(one)
    try:
        if check is not None:
            check(value)
    except ValueError:
        return False
    return True


def _beside(value: Any) -> list[Any]:
    """Return what lies just beside a constant."""
    if type(value) is int:
        return [value - 1, value + 1]
    return [value - 1.0, value + 1.0] if type(value) is float else []


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 24 and value[4:5] == "-" and value[-1] == "Z"


def _is_day(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10 and value[4:5] == value[7:8] == "-"


def find_world(
    wants: Sequence[Want], schema: Schema, entity: Entity, who: Who
) -> FoundWorld | None:
    """Return a world with these outcomes of conditions over rows of `entity`; None for not found.

    Conditions that look at rows of the entity itself, or at arguments, are not tried.
    """
    maker = _Maker(schema, entity, who)
    for condition, _ in wants:
        nodes = list(walk(condition))
        if any(isinstance(node, ir.Argument) for node in nodes):
            return None
        maker.learn(nodes)
    if entity.name in maker.looked_at:
        return None
    for _ in range(limits.POLICY_WITNESS_TRIES):
        try:
            world = maker.world()
        except _Impossible:
            continue
        if all(_MASKS[evaluate(condition, world)] & wanted for condition, wanted in wants):
            return FoundWorld(world, maker.rows)
    return None
