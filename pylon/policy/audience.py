"""Who may see a row: one question for all classes of callers at once, answered as a set.

A class is what a policy asks of a caller, answered (`slots`): callers with equal answers cannot
differ. Where an answer is compared with a value of the row, or with what an `exists` finds, the
classes are looked up by that value instead of being judged one by one. Three-valued like every
other reading: each condition gives the classes for which it is true and those for which it is
false; for the rest it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pylon.policy import ir
from pylon.policy.ir import TypeKind
from pylon.policy.predicate import Predicate, compile_predicate
from pylon.policy.slots import slots_of
from pylon.policy.sqlclause import shifted_now
from pylon.schema.model import FieldKind, Row, Value

#: One class: the answers to all slots of its policy.
Facts = tuple[Hashable, ...]
_NOBODY: frozenset[Facts] = frozenset()
#: So few classes are judged one by one: that is less work than sets.
_FEW = 6
_TEXTS = (FieldKind.STR, FieldKind.TEXT, FieldKind.REF, FieldKind.ENUM)


class Some:
    """A set of classes: those named, or all but those named. It is never changed."""

    __slots__ = ("is_all_but", "named")

    def __init__(self, named: frozenset[Facts] = _NOBODY, *, is_all_but: bool = False) -> None:
        self.named = named
        self.is_all_but = is_all_but

    def __contains__(self, facts: Facts) -> bool:
        """Tell whether a class is in the set."""
        return (facts in self.named) is not self.is_all_but

    def __and__(self, other: Some) -> Some:
        """Return the classes in both."""
        if self.is_all_but:
            if other.is_all_but:
                return Some(self.named | other.named, is_all_but=True)
            return other if not self.named else Some(other.named - self.named)
        if other.is_all_but:
            return self if not other.named else Some(self.named - other.named)
        return Some(self.named & other.named)

    def __or__(self, other: Some) -> Some:
        """Return the classes in either."""
        if self.is_all_but:
            if other.is_all_but:
                return Some(self.named & other.named, is_all_but=True)
            return self if not other.named else Some(self.named - other.named, is_all_but=True)
        if other.is_all_but:
            return other if not self.named else Some(other.named - self.named, is_all_but=True)
        return Some(self.named | other.named)

    def __invert__(self) -> Some:
        """Return the classes that are not in the set."""
        return Some(self.named, is_all_but=not self.is_all_but)

    @property
    def is_all(self) -> bool:
        """Tell whether nobody is missing."""
        return self.is_all_but and not self.named


NONE = Some()
ALL = Some(is_all_but=True)
#: The classes for which a condition is true, and those for which it is false.
Answer = tuple[Some, Some]
_TRUE: Answer = (ALL, NONE)
_FALSE: Answer = (NONE, ALL)
_UNKNOWN: Answer = (NONE, NONE)


class Classes:
    """The classes that are there, counted, and findable by some of their answers."""

    def __init__(self) -> None:
        self._counts: dict[Facts, int] = {}
        self._by: dict[tuple[int, ...], dict[Facts, set[Facts]]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._counts)

    def __iter__(self) -> Iterator[Facts]:
        """Yield them."""
        return iter(self._counts)

    def add(self, facts: Facts) -> None:
        """Count one more member of a class."""
        count = self._counts.get(facts, 0)
        self._counts[facts] = count + 1
        if count == 0:
            for places, found in self._by.items():
                found.setdefault(_at(places, facts), set()).add(facts)

    def remove(self, facts: Facts) -> None:
        """Count one member less; a class without members is gone."""
        self._counts[facts] -= 1
        if self._counts[facts]:
            return
        del self._counts[facts]
        for places, found in self._by.items():
            answers = _at(places, facts)
            found[answers].discard(facts)
            if not found[answers]:
                del found[answers]

    def by(self, places: tuple[int, ...]) -> Mapping[Facts, set[Facts]]:
        """Return the classes by their answers at these places."""
        found = self._by.get(places)
        if found is None:
            found = self._by[places] = {}
            for facts in self._counts:
                found.setdefault(_at(places, facts), set()).add(facts)
        return found


def _at(places: tuple[int, ...], facts: Facts) -> Facts:
    return tuple([facts[place] for place in places])


class Lookups(Protocol):
    """What a policy may ask a database."""

    def exists(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> bool:
        """Tell whether a row matches."""
        ...

    def inverse(
        self, node: ir.ExistsNode, place: int, values: tuple[Value, ...], at_most: int
    ) -> list[Value] | None:
        """Return the values of a filter's field for which a row matches; None for too many."""
        ...


@dataclass(slots=True)
class Moment:
    """What questions of one moment share: the classes, the time, the database's answers."""

    classes: Classes
    now: str
    lookups: Lookups
    row: Row = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)

    def exists(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists`, asking the database once."""
        key = (node, values)
        if key not in self.known:
            self.known[key] = self.lookups.exists(node, values)
        return bool(self.known[key])

    def inverse(
        self, node: ir.ExistsNode, place: int, values: tuple[Value, ...]
    ) -> list[Value] | None:
        """Answer an inverted `exists`, asking the database once."""
        key = (node, place, values)
        if key not in self.known:
            at_most = 4 * len(self.classes) + 16
            self.known[key] = self.lookups.inverse(node, place, values, at_most)
        found: list[Value] | None = self.known[key]
        return found


Ask = Callable[[Moment], Answer]


class Audience:
    """One policy, asked for all classes at once."""

    def __init__(self, condition: ir.Condition) -> None:
        self._places = {slot: place for place, slot in enumerate(slots_of(condition))}
        self._whole = compile_predicate(condition)
        self._ask = self._compiled(condition)

    def of(self, moment: Moment, row: Row) -> Some:
        """Return the classes for which the policy is true of a row."""
        moment.row = row
        if len(moment.classes) <= _FEW:
            return Some(frozenset([
                facts for facts in moment.classes
                if _judged(self._whole, facts, moment) is True
            ]))  # fmt: skip
        return self._ask(moment)[0]

    # --- compiling

    def _compiled(self, node: ir.Condition) -> Ask:
        if not slots_of(node):
            return _without_facts(node)
        match node:
            case ir.Negation(item):
                return _negated(self._compiled(item))
            case ir.Conjunction(items):
                return _every(self._items(items, ir.Conjunction))
            case ir.Disjunction(items):
                return _any(self._items(items, ir.Disjunction))
            case ir.FactHolds(slot):
                return _equal(self._place(slot), lambda _: (True,), can_be_absent=False)
            case ir.Absent(ir.Fact(slot)):
                return _equal(self._place(slot), lambda _: (None,), can_be_absent=False)
            case ir.Cmp("==" | "!=" as op, left, right):
                return self._compared(node, op, left, right)
            case ir.MemberOf(ir.Fact(slot), ir.Column("data", name)):
                return _equal(self._place(slot), lambda moment: moment.row[name])
            case ir.ExistsTest(exists):
                return self._exists(node, exists)
            case _:
                return self._one_by_one(node)

    def _items(
        self, items: tuple[ir.Condition, ...], join: type[ir.Conjunction | ir.Disjunction]
    ) -> list[Ask]:
        """Return the compiled items; those that ask nothing of callers as one, and first."""
        plain = tuple(one for one in items if not slots_of(one))
        asks = [self._compiled(one) for one in items if slots_of(one)]
        if plain:
            asks.insert(0, _without_facts(plain[0] if len(plain) == 1 else join(plain)))
        return asks

    def _place(self, slot: ir.Slot) -> tuple[int, ...]:
        return (self._places[slot],)

    def _compared(self, node: ir.Condition, op: str, left: ir.Value, right: ir.Value) -> Ask:
        if isinstance(right, ir.Fact):
            left, right = right, left
        if not isinstance(left, ir.Fact) or slots_of(right):  # type: ignore[arg-type]
            return self._one_by_one(node)
        read = _reader(right)
        if read is None:
            return self._one_by_one(node)
        equal = _equal(self._place(left.slot), lambda moment: _listed(read(moment)))
        return equal if op == "==" else _negated(equal)

    def _exists(self, node: ir.Condition, exists: ir.ExistsNode) -> Ask:
        """Return the question "who is named there", where one filter names the caller."""
        places = [at for at, one in enumerate(exists.filters) if slots_of(one.value)]  # type: ignore[arg-type]
        one_by_one = self._one_by_one(node)
        if len(places) != 1:
            return one_by_one
        at = places[0]
        keyed = exists.filters[at]
        fact = keyed.value
        others = [one for place, one in enumerate(exists.filters) if place != at]
        if (
            not isinstance(fact, ir.Fact)
            or keyed.op != "=="
            or keyed.kind not in _TEXTS
            or fact.type.kind not in (TypeKind.TEXT, TypeKind.CLAIM)
        ):
            return one_by_one
        reads = []
        for one in others:
            values = one.value if isinstance(one.value, tuple) else (one.value,)
            if one.op in ("in", "not in") and not isinstance(one.value, tuple):
                return one_by_one
            reads += [_reader(value) for value in values if value is not None]
        if None in reads:
            return one_by_one

        place = self._place(fact.slot)

        def ask(moment: Moment) -> Answer:
            values = tuple([read(moment) for read in reads if read is not None])
            if None in values:
                return _UNKNOWN
            named = moment.inverse(exists, at, values)
            if named is None:  # far more than are here: ask for each that is
                return one_by_one(moment)
            return _split(moment.classes.by(place), named)

        return ask

    def _one_by_one(self, node: ir.Condition) -> Ask:
        """Return the question asked once for each distinct answer to the node's slots."""
        predicate = compile_predicate(node)
        places = tuple(self._places[slot] for slot in slots_of(node))

        def ask(moment: Moment) -> Answer:
            true: set[Facts] = set()
            false: set[Facts] = set()
            for answers, classes in moment.classes.by(places).items():
                found = _judged(predicate, answers, moment)
                if found is True:
                    true |= classes
                elif found is False:
                    false |= classes
            return Some(frozenset(true)), Some(frozenset(false))

        return ask


def _judged(predicate: Predicate, answers: Facts, moment: Moment) -> bool | None:
    return predicate(answers, moment.row, None, None, moment.now, None, moment.exists)


def _without_facts(node: ir.Condition) -> Ask:
    predicate = compile_predicate(node)

    def ask(moment: Moment) -> Answer:
        found = _judged(predicate, (), moment)
        return _UNKNOWN if found is None else _TRUE if found else _FALSE

    return ask


def _negated(ask: Ask) -> Ask:
    def negated(moment: Moment) -> Answer:
        true, false = ask(moment)
        return false, true

    return negated


def _every(asks: list[Ask]) -> Ask:
    def ask(moment: Moment) -> Answer:
        true, false = _TRUE
        for one in asks:
            also, not_also = one(moment)
            true, false = true & also, false | not_also
            if false.is_all:
                break
        return true, false

    return ask


def _any(asks: list[Ask]) -> Ask:
    def ask(moment: Moment) -> Answer:
        true, false = _FALSE
        for one in asks:
            also, not_also = one(moment)
            true, false = true | also, false & not_also
            if true.is_all:
                break
        return true, false

    return ask


def _listed(value: Any) -> Iterable[Any] | None:
    return None if value is None else (value,)


def _equal(
    place: tuple[int, ...], read: Callable[[Moment], Iterable[Any] | None], *,
    can_be_absent: bool = True,
) -> Ask:  # fmt: skip
    """Return the question "is your answer among these"; absent ones make it unknown."""

    def ask(moment: Moment) -> Answer:
        values = read(moment)
        if values is None:
            return _UNKNOWN
        by_answer = moment.classes.by(place)
        if can_be_absent:
            return _split(by_answer, values)
        true = Some(_NOBODY.union(*[by_answer.get((value,), ()) for value in values]))
        return true, ~true

    return ask


def _split(by_answer: Mapping[Facts, set[Facts]], values: Iterable[Any]) -> Answer:
    """Return who answers one of the values, and who answers another; the absent do neither."""
    true: set[Facts] = set()
    has_absent = False
    for value in values:
        if value is None:
            has_absent = True
        else:
            true |= by_answer.get((value,), set())
    named = frozenset(true)
    if has_absent:
        return Some(named), NONE
    return Some(named), Some(named | by_answer.get((None,), set()), is_all_but=True)


def _reader(value: Any) -> Callable[[Moment], Any] | None:
    """Return what reads a value that asks nothing of callers; None where only a predicate can."""
    match value:
        case ir.Const(constant):
            return lambda _: constant
        case ir.Column("data", name) if value.type.kind is not TypeKind.LIST:
            return lambda moment: moment.row[name]
        case ir.Now(ms):
            return lambda moment: shifted_now(moment.now, ms) if ms else moment.now
        case _:
            return None
