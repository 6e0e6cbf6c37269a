"""Which rows a policy may change its mind about when a row changes that its `exists` looks at.

Derived once, at load, from the policy's own meaning: a `SliceRule` per `exists`. A change of a
looked-at row gives *slices*: the rows of an entity that have some values, and for whom. What does
not live here: how slices are stored and told (`server.storage`, `server.sync`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from pylon import limits
from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.ir import Slot, SlotKind, TypeKind
from pylon.policy.matching import satisfies
from pylon.policy.slots import answer, walk
from pylon.policy.sqlclause import flat_values
from pylon.schema.model import Entity, FieldKind, Row, Value

#: Kinds whose values are texts and stand for each other.
_TEXTS: Final = frozenset({FieldKind.STR, FieldKind.TEXT, FieldKind.REF, FieldKind.ENUM})
_SLOTS: Final = {SlotKind.USER_ID: "userId", SlotKind.EMAIL: "email"}
#: What a field of the row must equal, and what the caller must answer, each sorted by name.
Where = tuple[tuple[str, Value], ...]
Named = tuple[tuple[Slot, Value], ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of an entity that have these values, and whom it concerns; None is everybody."""

    entity: str
    where: Where
    who: tuple[Named, ...] | None

    def names(self, identity: Identity, slots: frozenset[Slot]) -> bool:
        """Tell whether a caller of whom a policy asks `slots` is among those concerned.

        Whoever is named by another fact was named by a policy of before: the change of the policy
        is a slice of its own, for everybody.
        """
        return self.who is None or any(
            all(slot in slots and answer(slot, identity) == value for slot, value in one)
            for one in self.who
        )


@dataclass(frozen=True, slots=True)
class SliceRule:
    """One `exists`: what of a row that it looks at says which rows and callers it decides for."""

    #: Whose rows move.
    entity: str
    #: Whose rows are looked at.
    looks_at: str
    #: (field of the entity, field of the looked-at row) that must be equal.
    data: tuple[tuple[str, str], ...]
    #: (fact about the caller, field of the looked-at row) that must be equal.
    auth: tuple[tuple[Slot, str], ...]
    #: What a looked-at row must pass, whoever asks about whatever row.
    literals: tuple[ir.ExistsFilter, ...]
    #: Fields of the looked-at row that are compared with anything else.
    others: tuple[str, ...]

    def moved(self, before: Row | None, after: Row | None) -> Iterator[tuple[Where, Named]]:
        """Yield what a change of a looked-at row moves: keys of one image and not of the other."""
        old, new = self.key(before), self.key(after)
        if old == new:
            # Where something else is compared, an equal key does not say that nothing changed.
            if old is not None and self._differs_elsewhere(before, after):
                yield old
            return
        if old is not None:
            yield old
        if new is not None:
            yield new

    def _differs_elsewhere(self, before: Row | None, after: Row | None) -> bool:
        if before is None or after is None:
            return False
        return any(before.get(name) != after.get(name) for name in self.others)

    def key(self, image: Row | None) -> tuple[Where, Named] | None:
        """Return which rows a looked-at row decides for, and for whom; None where for nothing."""
        if image is None or not all(_passes(one, image.get(one.field)) for one in self.literals):
            return None
        where = _joined([(name, image.get(field)) for name, field in self.data])
        who = _joined([(slot, image.get(field)) for slot, field in self.auth])
        return None if where is None or who is None else (where, who)


def _joined(pairs: list[tuple[Any, Value]]) -> tuple[tuple[Any, Value], ...] | None:
    """Return the pairs, each name once; None where nothing can be equal to all of them."""
    found: dict[Any, Value] = {}
    for name, value in pairs:
        if value is None or found.setdefault(name, value) != value:
            return None
    return tuple(found.items())


def _passes(one: ir.ExistsFilter, stored: Value) -> bool:
    wanted = [value.value for value in flat_values(one) if isinstance(value, ir.Const)]
    return satisfies(one, tuple(wanted), stored)


# --- deriving them -----------------------------------------------------------------------


def rules_of(entity: Entity, condition: ir.Condition) -> tuple[SliceRule, ...]:
    """Return the rules of an expression that decides what is seen of an entity, one per exists."""
    nodes = dict.fromkeys(one for one in walk(condition) if isinstance(one, ir.ExistsNode))
    return tuple(rule_of(entity, node) for node in nodes)


def rule_of(entity: Entity, node: ir.ExistsNode) -> SliceRule:
    """Return the rule of one exists."""
    data: list[tuple[str, str]] = []
    auth: list[tuple[Slot, str]] = []
    literals: list[ir.ExistsFilter] = []
    others: list[str] = []
    for one in node.filters:
        if _is_literal(one):
            literals.append(one)
        elif one.op == "==" and isinstance(one.value, ir.Column) and _is_comparable(entity, one):
            data.append((one.value.name, one.field))
        elif one.op == "==" and isinstance(one.value, ir.Fact):
            auth.append((one.value.slot, one.field))
        else:
            others.append(one.field)
    return SliceRule(
        entity.name, node.entity, tuple(sorted(data)),
        tuple(sorted(auth, key=lambda pair: (slot_name(pair[0]), pair[1]))),
        tuple(literals), tuple(dict.fromkeys(others)),
    )  # fmt: skip


def _is_literal(one: ir.ExistsFilter) -> bool:
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    return one.value is None or all(isinstance(value, ir.Const) for value in values)


def _is_comparable(entity: Entity, one: ir.ExistsFilter) -> bool:
    """Tell whether clients have the field that is compared, and compare it as the server does."""
    assert isinstance(one.value, ir.Column)
    if one.value.name == "id":
        return one.kind in _TEXTS
    if not is_told(entity, one.value.name):
        return False
    kind = entity.by_name[one.value.name].kind
    return kind == one.kind or {kind, one.kind} <= _TEXTS


def is_told(entity: Entity, name: str) -> bool:
    """Tell whether everybody who may read a row gets this field of it."""
    if name == "id":
        return True
    found = entity.by_name.get(name)
    return found is not None and not found.private and found.read is None


def by_looked_at(rules: Iterable[SliceRule]) -> Mapping[str, tuple[SliceRule, ...]]:
    """Return rules by the entity whose changes they ask about."""
    found: dict[str, list[SliceRule]] = {}
    for rule in dict.fromkeys(rules):
        found.setdefault(rule.looks_at, []).append(rule)
    return {name: tuple(those) for name, those in found.items()}


# --- the slices of one transaction -------------------------------------------------------


def slices_of(
    rules: Mapping[str, tuple[SliceRule, ...]],
    changes: Iterable[tuple[str, Row | None, Row | None]],
) -> list[Slice]:
    """Return the slices that changes (entity, before, after) of one transaction make, collapsed."""
    # Per exists, never pooled: keys of two of them may cancel out and must not.
    return collapsed(
        (rule.entity, where, who)
        for looked_at, before, after in changes
        for rule in rules.get(looked_at, ())
        for where, who in rule.moved(before, after)
    )


def collapsed(moved: Iterable[tuple[str, Where, Named]]) -> list[Slice]:
    """Return what moves as few slices: of equal rows one, of too many the whole entity."""
    found: dict[str, dict[Where, dict[Named, None]]] = {}
    for entity, where, who in moved:
        found.setdefault(entity, {}).setdefault(where, {})[who] = None
    return [one for entity, slices in found.items() for one in _collapsed(entity, slices)]


def _collapsed(entity: str, slices: dict[Where, dict[Named, None]]) -> list[Slice]:
    everybody: Named = ()
    if len(slices) > limits.SLICES_PER_ENTITY_MAX or everybody in slices.get((), {}):
        return [Slice(entity, (), None)]
    return [
        Slice(
            entity, where,
            None if everybody in who or len(who) > limits.SLICE_WHO_MAX else tuple(who),
        )
        for where, who in slices.items()
    ]  # fmt: skip


# --- as the log stores them --------------------------------------------------------------


def slot_name(slot: Slot) -> str:
    """Return the name of a fact in the log."""
    known = _SLOTS.get(slot.kind)
    return known if known is not None else f"{slot.kind}:{slot.wanted}:{'.'.join(slot.names)}"


def _slot_named(name: str) -> Slot:
    for kind, known in _SLOTS.items():
        if name == known:
            return Slot(kind)
    kind_name, wanted, names = name.split(":")
    return Slot(SlotKind(kind_name), tuple(names.split(".")), TypeKind(wanted))


def slice_to_json(one: Slice) -> dict[str, Any]:
    """Return a slice as JSON values, values in row form."""
    who = one.who and [{slot_name(slot): value for slot, value in named} for named in one.who]
    return {"where": dict(one.where), "who": who}


def slice_from_json(entity: str, stored: Mapping[str, Any]) -> Slice:
    """Return the slice of its JSON values."""
    who = stored["who"] and tuple(
        tuple((_slot_named(name), value) for name, value in named.items())
        for named in stored["who"]
    )
    return Slice(entity, tuple(stored["where"].items()), who)


# --- what may be said to whom ------------------------------------------------------------


def relaxed(condition: ir.Condition) -> ir.Condition:
    """Return a condition that is true wherever this one could be: each exists free to be either.

    So is what is compared with `now`, which was otherwise a moment ago. Values of a looked-at row
    are told to everybody only where that allows it: exists that are asked as they are would hide
    each other's slices where several are revoked together.
    """
    return _could_be(condition, (ir.ExistsNode, ir.Now), wanted=True)


def timeless(condition: ir.Condition) -> ir.Condition:
    """Return a condition that is true wherever this one could be at some time, rows as they are."""
    return _could_be(condition, (ir.Now,), wanted=True)


def _could_be(node: ir.Condition, free: tuple[type, ...], *, wanted: bool) -> ir.Condition:
    match node:
        case ir.Negation(item):
            return _could_be(item, free, wanted=not wanted)
        case ir.Conjunction(items) | ir.Disjunction(items):
            parts = tuple(_could_be(item, free, wanted=wanted) for item in items)
            is_and = isinstance(node, ir.Conjunction) is wanted
            return ir.Conjunction(parts) if is_and else ir.Disjunction(parts)
        case _ if not any(isinstance(one, free) for one in walk(node)):
            return node if wanted else ir.Negation(node)
        case ir.ExistsTest(exists):
            return _can_be_asked(exists)
        case _:
            return ir.Constant(value=True)


def _can_be_asked(node: ir.ExistsNode) -> ir.Condition:
    """Return whether no right-hand side is absent: one that is makes it unknown for ever."""
    values = [
        value
        for one in node.filters
        for value in (one.value if isinstance(one.value, tuple) else (one.value,))
        if value is not None and not isinstance(value, ir.Const | ir.Now)
    ]
    present = tuple(_is_present(value) for value in dict.fromkeys(values))
    return ir.Conjunction(present) if present else ir.Constant(value=True)


def _is_present(value: ir.Value) -> ir.Condition:
    match value:
        case ir.Fact(Slot(SlotKind.USER_ID)):
            return ir.FactHolds(Slot(SlotKind.HAS_USER))
        case ir.Fact(Slot(SlotKind.EMAIL)):
            return ir.FactHolds(Slot(SlotKind.HAS_EMAIL))
        case _:
            return ir.Negation(ir.Absent(value))


# --- whether a policy means the same -----------------------------------------------------


def meaning_text(node: Any) -> str:
    """Return a text that is equal for conditions of equal meaning, however they were spelled.

    Types do not count: one more choice of an enum changes no policy.
    """
    if isinstance(node, tuple):
        return f"({','.join(map(meaning_text, node))})"
    if is_dataclass(node):
        parts = [getattr(node, one.name) for one in fields(node)]
        told = [meaning_text(one) for one in parts if not isinstance(one, ir.ValueType)]
        return f"{type(node).__name__}({','.join(told)})"
    return repr(node)
