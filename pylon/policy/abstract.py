"""A condition over abstract worlds: its leaves become tests of a few small variables.

A variable is whether a value is there, where it lies among the constants it is compared with, how
two values stand to each other, whether the caller has a role, whether an `exists` finds a row.
Every real world is one of the abstract ones, but not the other way round: what holds in all
abstract worlds holds, and what is found in one need not be real (`witness` looks for that).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pylon.policy import ir
from pylon.policy.ir import SlotKind, TypeKind
from pylon.policy.sqlclause import can_be_absent, flat_values

TRUE, FALSE, UNKNOWN = 1, 2, 4
ANY = TRUE | FALSE | UNKNOWN
#: Values of variables that were chosen so far.
Known = Mapping[Hashable, Any]
Key = Hashable

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_USER: Key = ("there", "user")
_BOTH = (True, False)


class Who(StrEnum):
    """Which callers a question is about."""

    ANYBODY = "anybody"
    ANONYMOUS = "anonymous"
    SIGNED_IN = "signed in"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A test of variables: unknown where one of `needs` is absent, else what `judge` says."""

    needs: tuple[Key, ...]
    asks: tuple[Key, ...]
    judge: Callable[[tuple[Any, ...]], bool]

    def outcomes(self, known: Known) -> int:
        """Return the outcomes that are possible still."""
        absent = [known.get(key) for key in self.needs]
        if False in absent:
            return UNKNOWN
        if None in absent or any(key not in known for key in self.asks):
            return ANY if None in absent else TRUE | FALSE
        return TRUE if self.judge(tuple(known[key] for key in self.asks)) else FALSE

    def open_variable(self, known: Known) -> Key | None:
        """Return a variable that is not chosen yet."""
        return next((key for key in (*self.needs, *self.asks) if key not in known), None)


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same outcome in all worlds."""

    mask: int

    def outcomes(self, known: Known) -> int:
        """Return it."""
        return self.mask

    def open_variable(self, known: Known) -> Key | None:
        """Return None."""
        return None


@dataclass(frozen=True, slots=True)
class Turned:
    """A negation."""

    item: Tree

    def outcomes(self, known: Known) -> int:
        """Return the outcomes that are possible still."""
        return turned(self.item.outcomes(known))

    def open_variable(self, known: Known) -> Key | None:
        """Return a variable that is not chosen yet."""
        return self.item.open_variable(known)


@dataclass(frozen=True, slots=True)
class AllOf:
    """A conjunction; a disjunction is the negated conjunction of its negated items."""

    items: tuple[Tree, ...]

    def outcomes(self, known: Known) -> int:
        """Return the outcomes that are possible still, each item taken by itself."""
        masks = [item.outcomes(known) for item in self.items]
        found = 0
        if all(mask & TRUE for mask in masks):
            found |= TRUE
        if any(mask & FALSE for mask in masks):
            found |= FALSE
        if any(mask & UNKNOWN for mask in masks) and all(mask & ~FALSE for mask in masks):
            found |= UNKNOWN
        return found

    def open_variable(self, known: Known) -> Key | None:
        """Return a variable that matters still and is not chosen yet."""
        for item in self.items:
            if item.outcomes(known).bit_count() > 1:
                key = item.open_variable(known)
                if key is not None:
                    return key
        return None


Tree = Leaf | Fixed | Turned | AllOf


def turned(mask: int) -> int:
    """Return the outcomes of the negation."""
    return (mask & UNKNOWN) | (FALSE if mask & TRUE else 0) | (TRUE if mask & FALSE else 0)


@dataclass(slots=True)
class Abstraction:
    """Trees that share their variables, for one kind of caller."""

    who: Who
    domains: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    #: What is known from the start.
    known: dict[Key, Any] = field(default_factory=dict)
    #: Constants that a value is compared with, by its key, and the values it can take where they
    #: are few.
    _constants: dict[Key, set[Any]] = field(default_factory=dict)
    _choices: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    _pairs: list[tuple[Key, Key]] = field(default_factory=list)
    _exists: dict[Key, ir.ExistsNode] = field(default_factory=dict)
    _roles: set[Key] = field(default_factory=set)
    _claims: set[tuple[Key, Key]] = field(default_factory=set)

    def trees(self, conditions: Iterable[ir.Condition]) -> list[Tree]:
        """Return the trees of conditions; after it no more can be added."""
        conditions = list(conditions)
        for condition in conditions:  # constants first: where a value lies depends on all of them
            self._tree(condition)
        self._share_constants()
        return [self._tree(condition) for condition in conditions]

    # --- conditions

    def _tree(self, node: ir.Condition) -> Tree:
        match node:
            case ir.Constant(value):
                return Fixed({True: TRUE, False: FALSE, None: UNKNOWN}[value])
            case ir.Negation(item):
                return Turned(self._tree(item))
            case ir.Conjunction(items):
                return AllOf(tuple(self._tree(item) for item in items))
            case ir.Disjunction(items):
                return self._any([self._tree(item) for item in items])
            case ir.Cmp(op, left, right):
                return self._compare(op, left, right)
            case ir.Absent(value):
                return self._absent(value)
            case ir.Member(value, items):
                if not items:
                    return self._free((value,), node, is_always=False)
                return self._any([self._compare("==", value, item) for item in items])
            case ir.MemberOf(value, of):
                return self._member_of(node, value, of)
            case ir.TextTest(_, text, part):
                return self._free((text, part), node)
            case ir.Holds(value):
                return self._compare("==", value, ir.Const(True, value.type))  # noqa: FBT003
            case ir.FactHolds(slot):
                return self._fact_holds(slot)
            case ir.ExistsTest(exists):
                key = ("exists", repr(exists))
                self._exists[key] = exists
                values = tuple(one for each in exists.filters for one in flat_values(each))
                return self._free(values, node, key=key)

    @staticmethod
    def _any(items: list[Tree]) -> Tree:
        return Turned(AllOf(tuple(Turned(item) for item in items)))

    def _free(
        self, values: tuple[ir.Value, ...], node: ir.Condition, *, key: Key | None = None,
        is_always: bool | None = None,
    ) -> Tree:  # fmt: skip
        """Return a test that can go either way where its values are there."""
        needs = self._needs(values)
        if needs is None:
            return Fixed(UNKNOWN)
        if is_always is not None:
            return Leaf(needs, (), lambda _: is_always)
        key = key or ("free", repr(node))
        self.domains[key] = _BOTH
        return Leaf(needs, (key,), lambda found: bool(found[0]))

    def _absent(self, value: ir.Value) -> Tree:
        needs = self._needs((value,))
        if needs is None:
            return Fixed(TRUE)
        if not needs:
            return Fixed(FALSE)
        # Whether it is there is what is asked here, so nothing is needed first.
        return Leaf((), needs, lambda found: False in found)

    def _member_of(self, node: ir.Condition, value: ir.Value, of: ir.Value) -> Tree:
        if isinstance(of, ir.Fact) and of.slot.kind is SlotKind.ROLES:
            if isinstance(value, ir.Const) and value.value is not None:
                return self._any_role((value.value,))
            if self.who is Who.ANONYMOUS:
                return self._free((value,), node, is_always=False)
            return self._free((value,), node)
        return self._free((value, of), node)

    def _fact_holds(self, slot: ir.Slot) -> Tree:
        match slot.kind:
            case SlotKind.HAS_ANY_ROLE:
                return self._any_role(slot.names)
            case SlotKind.HAS_USER:
                key = _USER
            case SlotKind.HAS_EMAIL:
                key = ("there", "email")
            case _:
                key = ("claim", slot.names)
        self._caller_variable(key)
        return Leaf((), (key,), lambda found: bool(found[0]))

    def _any_role(self, names: tuple[str, ...]) -> Tree:
        keys = tuple(("role", name) for name in names)
        for key in keys:
            self._roles.add(key)
            self._caller_variable(key)
        return self._any([Leaf((), (key,), lambda found: bool(found[0])) for key in keys])

    def _caller_variable(self, key: Key) -> None:
        self.domains[key] = _BOTH
        if self.who is Who.ANONYMOUS:
            self.known[key] = False
        elif self.who is Who.SIGNED_IN and key == _USER:
            self.known[key] = True

    # --- comparisons

    def _compare(self, op: str, left: ir.Value, right: ir.Value) -> Tree:
        if isinstance(left, ir.Const) and not isinstance(right, ir.Const):
            left, right, op = right, left, _FLIPPED[op]
        needs = self._needs((left, right))
        if needs is None:
            return Fixed(UNKNOWN)
        judge = ir.COMPARISONS[op]
        if isinstance(left, ir.Const) and isinstance(right, ir.Const):
            return Fixed(TRUE if judge(left.value, right.value) else FALSE)
        if isinstance(right, ir.Const):
            return self._compare_constant(op, left, right.value, needs)
        one, other = repr(left), repr(right)
        if one == other:
            return Leaf(needs, (), lambda _: judge(0, 0))
        if one > other:
            left, right, op = right, left, _FLIPPED[op]
        pair = (self._place(left), self._place(right))
        key = ("order", *pair)
        if key not in self.domains:
            self.domains[key] = (-1, 0, 1)
            self._pairs.append(pair)
        ordered = ir.COMPARISONS[op]
        return Leaf(needs, (key,), lambda found: ordered(found[0], 0))

    def _compare_constant(
        self, op: str, value: ir.Value, constant: Any, needs: tuple[Key, ...]
    ) -> Tree:
        if isinstance(value, ir.Judged) and isinstance(constant, bool) and op in ("==", "!="):
            tree = self._tree(value.condition)
            return tree if constant is (op == "==") else Turned(tree)
        key = self._place(value)
        self._constants.setdefault(key, set()).add(constant)
        constants = self._all_constants(key)
        place, judge = 2 * constants.index(constant) + 1, ir.COMPARISONS[op]
        few = self._choices.get(key)
        self.domains[key] = (
            tuple(range(2 * len(constants) + 1)) if few is None
            else tuple(2 * constants.index(one) + 1 for one in few)
        )  # fmt: skip
        return Leaf(needs, (key,), lambda found: judge(found[0], place))

    def _place(self, value: ir.Value) -> Key:
        """Return the variable of where a value lies among the constants."""
        key = ("place", repr(value))
        if value.type.kind is TypeKind.BOOL:
            self._choices[key] = (False, True)
        elif isinstance(value, ir.Column) and value.type.choices:
            self._choices[key] = value.type.choices
        return key

    def _all_constants(self, key: Key) -> list[Any]:
        return sorted({*self._constants.get(key, ()), *self._choices.get(key, ())})

    def _share_constants(self) -> None:
        """Have two values that are compared lie among the same constants."""
        for _ in self._pairs:
            for one, other in self._pairs:
                both = {*self._all_constants(one), *self._all_constants(other)}
                if both:
                    for key in (one, other):
                        self._constants[key] = set(both)

    def _needs(self, values: tuple[ir.Value, ...]) -> tuple[Key, ...] | None:
        """Return the variables of what must be there; None where something never is."""
        keys: list[Key] = []
        for given in values:
            value = _base(given)
            if isinstance(value, ir.Fact) and value.slot.kind is not SlotKind.ROLES:
                keys.append(self._fact_there(value.slot))
                if self.who is Who.ANONYMOUS:
                    return None
            elif isinstance(value, ir.Const):
                if value.value is None:
                    return None
            elif can_be_absent(value) and not isinstance(value, ir.Fact):
                key = ("there", repr(value))
                self.domains[key] = _BOTH
                keys.append(key)
        return tuple(dict.fromkeys(keys))

    def _fact_there(self, slot: ir.Slot) -> Key:
        if slot.kind is SlotKind.USER_ID:
            key: Key = _USER
        elif slot.kind is SlotKind.EMAIL:
            key = ("there", "email")
        else:
            key = ("there", "claim", slot.names, slot.wanted)
            self._claims.add((key, ("claim", slot.names)))
        self._caller_variable(key)
        return key

    # --- what no world has

    def contradicts(self, known: Known) -> bool:
        """Tell whether no real world has these values together."""
        if known.get(_USER) is False and (
            known.get(("there", "email")) or any(known.get(key) for key in self._roles)
        ):
            return True
        if any(known.get(one) and known.get(any_type) is False for one, any_type in self._claims):
            return True
        return any(self._is_out_of_order(pair, known) for pair in self._pairs) or any(
            known.get(one) and known.get(other) is False
            for one in self._exists for other in self._exists
            if one != other and _implies(self._exists[one], self._exists[other])
        )  # fmt: skip

    @staticmethod
    def _is_out_of_order(pair: tuple[Key, Key], known: Known) -> bool:
        order = known.get(("order", *pair))
        one, other = known.get(pair[0]), known.get(pair[1])
        if order is None or one is None or other is None:
            return False
        if one != other:
            return bool(order != (1 if one > other else -1))
        return bool(one % 2 == 1 and order != 0)  # both are the same constant


def _base(value: ir.Value) -> ir.Value:
    """Return the value that must be there for this one to be."""
    while isinstance(value, ir.Lower | ir.Length | ir.Moved):
        value = value.value
    return value


def _implies(one: ir.ExistsNode, other: ir.ExistsNode) -> bool:
    """Tell whether a row that the first finds is one that the second finds."""
    return one.entity == other.entity and all(
        any(_is_narrower(mine, theirs) for mine in one.filters) for theirs in other.filters
    )


def _is_narrower(mine: ir.ExistsFilter, theirs: ir.ExistsFilter) -> bool:
    if repr(mine) == repr(theirs):
        return True
    if mine.field != theirs.field or theirs.op != "in" or not isinstance(theirs.value, tuple):
        return False
    wanted = {repr(value) for value in theirs.value}
    if mine.op == "in" and isinstance(mine.value, tuple):
        return {repr(value) for value in mine.value} <= wanted
    return mine.op == "==" and mine.value is not None and repr(mine.value) in wanted
