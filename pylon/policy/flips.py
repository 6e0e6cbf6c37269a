"""The nearest flip: single changes that would make a denied decision pass, smallest first.

Each leaf of the policy proposes changes: of the caller, of one field, of the time, of one row that
an `exists` looks at. A proposal is kept only if the enforced predicates pass with it; what is
said of it is what was judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pylon import limits
from pylon.identity import ANONYMOUS, Identity, IdentityKind
from pylon.policy import ir
from pylon.policy.ir import SlotKind, TypeKind
from pylon.policy.matching import satisfied
from pylon.policy.proposals import SOMEBODY, Proposal, Rank, fitting, proposals_for, some_value
from pylon.policy.reference import World, lookup_values, value_of
from pylon.policy.rowflips import row_proposals
from pylon.policy.scene import Part, Question, Scene, Sight, with_row
from pylon.policy.slots import walk
from pylon.policy.spelled import literal, spelled_value
from pylon.policy.sqlclause import AFTER_ALL, BEFORE_ALL, flat_values, moved
from pylon.schema.model import Access

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Flip:
    """One change that was judged to pass; `leaf` is the part's place and the node it came from."""

    rank: Rank
    text: str
    leaf: tuple[int, ir.Condition]
    #: All that the decision depends on, with the change.
    scene: Scene


def flips_of(question: Question, scene: Scene, sight: Sight) -> tuple[Flip, ...]:
    """Return the single changes that would make a denied decision pass, smallest first.

    Args:
        question: what is decided.
        scene: the moment, at which it is denied.
        sight: what may be named.
    """
    found: dict[str, Flip] = {}
    tried = 0
    for place, part in enumerate(question.parts(scene)):
        proposer = _Proposer(question, scene, part, sight)
        for leaf in dict.fromkeys(leaves(part.policy.condition)):
            for one in proposer.proposals(leaf):
                tried += 1
                if tried > limits.EXPLAIN_CHANGES_MAX:
                    return _sorted(found)
                if one.text in found or not question.is_allowed(one.scene):
                    continue
                is_wide = one.also is None or question.is_allowed(one.also)
                text = f"would pass if {one.text if is_wide else one.otherwise}"
                found.setdefault(one.text, Flip(one.rank, text, (place, leaf), one.scene))
    return _sorted(found)


def _sorted(found: dict[str, Flip]) -> tuple[Flip, ...]:
    return tuple(sorted(found.values(), key=lambda one: one.rank))


def leaves(node: Any) -> Iterator[ir.Condition]:
    """Yield the tests of a condition in the order of the text, also those inside of values."""
    for one in walk(node):
        if isinstance(one, ir.Negation | ir.Conjunction | ir.Disjunction | ir.Constant):
            continue
        if isinstance(
            one,
            ir.Cmp | ir.Absent | ir.Member | ir.MemberOf | ir.TextTest | ir.Holds | ir.FactHolds
            | ir.ExistsTest,
        ):  # fmt: skip
            yield one


class _Proposer:
    """Proposes changes for the leaves of one part."""

    def __init__(self, question: Question, scene: Scene, part: Part, sight: Sight) -> None:
        self._question, self._scene = question, scene
        self._sight, self._hidden = sight, sight.hidden
        self._world = World(
            identity=scene.identity, data=part.data, old=part.old, new=part.new, now=scene.now,
            args=scene.args, lookup=scene.lookup,
        )  # fmt: skip

    def proposals(self, leaf: ir.Condition) -> Iterator[Proposal]:
        """Yield changes that turn the answer of one leaf."""
        match leaf:
            case ir.FactHolds(slot):
                yield from self._facts(slot)
            case ir.ExistsTest(exists):
                values = lookup_values(exists, self._world)
                if values is None:
                    yield from self._present(exists)
                else:
                    yield from self._rows(exists, values)
            case ir.Cmp(op, left, right):
                yield from self._values(left, op, right)
                flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(op, op)
                yield from self._values(right, flipped, left)
            case ir.Member(value, items):
                for item in items[:4]:
                    yield from self._values(value, "==", item)
            case ir.MemberOf(value, of):
                yield from self._listed(value, of)
            case ir.TextTest(is_prefix, text, part):
                yield from self._texts(text, part, is_prefix=is_prefix)
            case ir.Holds(value):
                for wanted in (True, False):
                    yield from self._set(value, wanted)
            case ir.Absent(value):
                yield from self._set(value, None)
                yield from self._set(value, some_value(value))
            case _:
                raise AssertionError("no leaf")

    def _rows(self, node: ir.ExistsNode, values: tuple[Any, ...]) -> Iterator[Proposal]:
        """Yield changes of looked-at rows, then of the field that leads to another one."""
        yield from row_proposals(self._question, self._scene, node, values, self._sight)
        entity = self._question.schema.entities[node.entity]
        for row in self._scene.rows.near(node, values)[: limits.EXPLAIN_ROWS_MAX]:
            held = satisfied(node, values, row)
            missed = node.filters[held.index(False)] if held.count(False) == 1 else None
            if missed is None or missed.op != "==" or not isinstance(missed.value, ir.Column):
                continue
            field = entity.by_name.get(missed.field)
            if (field is None or not field.private) and row[missed.field] is not None:
                yield from self._set(missed.value, row[missed.field])

    # --- the caller

    def _facts(self, slot: ir.Slot) -> Iterator[Proposal]:
        match slot.kind:
            case SlotKind.HAS_USER:
                yield self._signed_in()
                yield self._as(Rank.CLAIM, "nobody were signed in", ANONYMOUS)
            case SlotKind.HAS_EMAIL:
                yield self._signed_in()
            case SlotKind.HAS_CLAIM:
                yield self._claim(slot, "present", f"auth.claims.{'.'.join(slot.names)} were there")
            case SlotKind.HAS_ANY_ROLE:
                for name in slot.names:
                    yield from self._role(name)
            case SlotKind.USER_ID | SlotKind.EMAIL | SlotKind.ROLES | SlotKind.CLAIM:
                raise AssertionError("no question to be answered by yes or no")

    def _present(self, node: ir.ExistsNode) -> Iterator[Proposal]:
        """Yield what makes the absent right-hand sides of an exists present."""
        for one in node.filters:
            for value in flat_values(one):
                if isinstance(value, ir.Fact) and value.slot.kind is SlotKind.USER_ID:
                    yield self._signed_in()

    def _signed_in(self) -> Proposal:
        if self._scene.identity.user_id is not None:
            return self._as(Rank.SIGN_IN, "signed in", self._scene.identity)
        somebody = Identity(
            kind=IdentityKind.USER, user_id=SOMEBODY, email="somebody@example.org",
            claims=self._scene.identity.claims,
        )  # fmt: skip
        return self._as(Rank.SIGN_IN, "signed in", somebody)

    def _role(self, name: str) -> Iterator[Proposal]:
        identity = self._scene.identity
        rank: Rank = Rank.ADMIN if name == "admin" else Rank.ROLE
        if name in identity.roles:
            without = replace(identity, roles=identity.roles - {name})
            yield self._as(rank, f"without role `{name}`", without)
            return
        granted = replace(identity, roles=identity.roles | {name})
        if identity.user_id is None:
            somebody = replace(self._signed_in().scene.identity, roles=granted.roles)
            yield self._as(rank, f"signed in with role `{name}`", somebody)
        else:
            yield self._as(rank, f"role `{name}`", granted)

    def _as(self, rank: Rank, text: str, identity: Identity) -> Proposal:
        return Proposal(rank, text, replace(self._scene, identity=identity))

    def _claim(self, slot: ir.Slot, value: Any, text: str) -> Proposal:
        claims: Any = value
        for at in range(len(slot.names) - 1, -1, -1):
            outer: Any = self._scene.identity.claims
            for name in slot.names[:at]:
                outer = outer.get(name) if hasattr(outer, "get") else None
            kept = dict(outer) if hasattr(outer, "get") else {}
            claims = {**kept, slot.names[at]: claims}
        return self._as(Rank.CLAIM, text, replace(self._scene.identity, claims=claims))

    # --- values

    def _values(self, value: ir.Value, op: str, other: ir.Value) -> Iterator[Proposal]:
        """Yield values for one side of a comparison that make it true, then false."""
        if not isinstance(_base(value), ir.Column | ir.Fact | ir.Now | ir.Argument):
            return
        if self._names_hidden(other):
            return
        found = value_of(other, self._world)
        if found is None or (
            found in (BEFORE_ALL, AFTER_ALL) and other.type.kind is TypeKind.DATETIME
        ):
            return
        if isinstance(_base(value), ir.Now):
            yield from self._times(value, found)
            return
        for wanted in proposals_for(op, value, found):
            yield from self._set(value, wanted)

    def _times(self, value: ir.Value, bound: str) -> Iterator[Proposal]:
        ms = value.ms if isinstance(value, ir.Now) else 0
        shown = moved(bound, -ms)
        if shown in (BEFORE_ALL, AFTER_ALL):
            return
        for word, step in (("after", 1), ("before", -1)):
            near, far = moved(shown, step), moved(shown, step + step * _DAY_MS)
            if not {near, far} & {BEFORE_ALL, AFTER_ALL}:
                yield Proposal(
                    Rank.TIME, f"now were {word} {shown}", replace(self._scene, now=near),
                    replace(self._scene, now=far), f"now were {near}",
                )  # fmt: skip

    def _set(self, value: ir.Value, wanted: Any) -> Iterator[Proposal]:
        """Yield the changes that give a value another content."""
        match value:
            case ir.Column():
                yield from self._columns(value, wanted, literal(wanted, value.type))
            case ir.Moved(inner, ms) if isinstance(wanted, str):
                there = moved(wanted, -ms)
                if there not in (BEFORE_ALL, AFTER_ALL):
                    yield from self._set(inner, there)
            case ir.Lower(inner):
                yield from self._set(inner, wanted)
            case ir.Fact(slot) if wanted is not None:
                yield from self._set_fact(slot, wanted)
            case ir.Argument(name) if wanted is not None:
                args = {**(self._scene.args or {}), name: wanted}
                text = f"args.{name} were {literal(wanted, value.type)}"
                yield Proposal(Rank.CLAIM, text, replace(self._scene, args=args))

    def _set_fact(self, slot: ir.Slot, wanted: Any) -> Iterator[Proposal]:
        identity = self._scene.identity
        match slot.kind:
            case SlotKind.USER_ID if identity.user_id is None:
                yield self._signed_in()
                somebody = replace(self._signed_in().scene.identity, user_id=wanted)
                yield self._as(Rank.CLAIM, f"signed in as user {literal(wanted)}", somebody)
            case SlotKind.USER_ID:
                other = replace(identity, user_id=wanted)
                yield self._as(Rank.USER, f"the caller were user {literal(wanted)}", other)
            case SlotKind.EMAIL if identity.user_id is not None:
                other = replace(identity, email=wanted)
                yield self._as(Rank.CLAIM, f"auth.email were {literal(wanted)}", other)
            case SlotKind.CLAIM:
                name = spelled_value(ir.Fact(slot, ir.ValueType(TypeKind.CLAIM)))
                yield self._claim(slot, wanted, f"{name} were {literal(wanted)}")
            case _:
                return

    def _columns(
        self, column: ir.Column, wanted: Any, shown: str, said: str = "were"
    ) -> Iterator[Proposal]:
        """Yield the changes of one field: of the row, or of one image of an update."""
        entity, name = self._question.entity, column.name
        if entity is None or name == "id" or name in self._hidden:
            return
        field = entity.by_name[name]
        if not fitting(field, wanted):
            return
        (wanted,) = fitting(field, wanted)
        row, after = self._scene.row, self._scene.after
        assert row is not None
        is_stored = self._question.access is not Access.INSERT
        changed = with_row(self._scene, entity, {**row, name: wanted}, is_stored=is_stored)
        if after is None:
            yield Proposal(Rank.FIELD, f"data.{name} {said} {shown}", changed)
            return
        later = {**after, name: wanted}
        if row[name] == after[name]:
            yield Proposal(Rank.FIELD, f"data.{name} {said} {shown}", replace(changed, after=later))
        yield Proposal(Rank.FIELD, f"new.{name} {said} {shown}", replace(self._scene, after=later))
        yield Proposal(Rank.FIELD, f"old.{name} {said} {shown}", changed)

    def _listed(self, value: ir.Value, of: ir.Value) -> Iterator[Proposal]:
        if self._names_hidden(value):
            return
        item, listed = value_of(value, self._world), value_of(of, self._world)
        if isinstance(of, ir.Fact) and isinstance(item, str):
            yield from self._role(item)
        if isinstance(of, ir.Column) and item is not None:
            held = list(listed or ())
            shown = literal(item)
            yield from self._columns(of, [*held, item], shown, "contained")
            without = [one for one in held if one is not None and one != item]
            yield from self._columns(of, without, shown, "did not contain")
        if isinstance(of, ir.Column) and listed and not self._names_hidden(of):
            for one in listed[:2]:
                yield from self._set(value, one)

    def _texts(self, text: ir.Value, part: ir.Value, *, is_prefix: bool) -> Iterator[Proposal]:
        if self._names_hidden(part) or self._names_hidden(text):
            return
        whole, piece = value_of(text, self._world), value_of(part, self._world)
        if piece is not None:
            joined = f"{piece}{whole or ''}" if is_prefix else f"{whole or ''}{piece}"
            yield from self._set(text, joined)
            yield from self._set(text, "")
        if whole is not None:
            yield from self._set(part, whole)

    def _names_hidden(self, node: Any) -> bool:
        return any(isinstance(one, ir.Column) and one.name in self._hidden for one in walk(node))


def _base(value: ir.Value) -> ir.Value:
    while isinstance(value, ir.Moved | ir.Lower):
        value = value.value
    return value
