"""All that one decision depends on, as a value that can be changed: caller, images, time, rows.

A decision has parts that must all hold: for a write the gates that come first (signed in, may
read), then the policy over each image. Each part is judged by the predicate that is enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pylon.identity import Identity
from pylon.policy import ir
from pylon.policy.compiled import CompiledExpression
from pylon.policy.ir import Slot, SlotKind
from pylon.policy.matching import matches
from pylon.schema.model import Access, Entity, Row, Schema, Value

SIGNED_IN = CompiledExpression(
    "auth.userId != null", ir.FactHolds(Slot(SlotKind.HAS_USER)), "signed in"
)
NOT_DISABLED = CompiledExpression("false", ir.Constant(value=False), "account")


@dataclass(frozen=True, slots=True)
class Sight:
    """What the reader of an explanation may be shown; by default all."""

    #: Fields of the entity whose values are not shown.
    hidden: frozenset[str] = frozenset()
    #: Private fields of looked-at rows are not shown either.
    hides_private: bool = False
    may_see: Callable[[str, Row], bool] = lambda *_: True


class LookedAt(Protocol):
    """The rows that an `exists` looks at."""

    def find(
        self, node: ir.ExistsNode, values: tuple[Value, ...], without: str | None = None
    ) -> Row | None:
        """Return a row that matches, other than the one with the id `without`; or None."""
        ...

    def near(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> list[Row]:
        """Return some rows that satisfy at least one filter: a bounded number."""
        ...


@dataclass(slots=True)
class Remembered:
    """Rows that are asked for once."""

    rows: LookedAt
    _found: dict[Any, Row | None] = field(default_factory=dict)
    _near: dict[Any, list[Row]] = field(default_factory=dict)

    def find(
        self, node: ir.ExistsNode, values: tuple[Value, ...], without: str | None = None
    ) -> Row | None:
        """Return a row that matches, or None."""
        key = (node, values, tuple(map(type, values)), without)
        if key not in self._found:
            self._found[key] = self.rows.find(node, values, without)
        return self._found[key]

    def near(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> list[Row]:
        """Return some rows that satisfy at least one filter."""
        key = (node, values, tuple(map(type, values)))
        if key not in self._near:
            self._near[key] = self.rows.near(node, values)
        return self._near[key]


@dataclass(frozen=True, slots=True)
class Altered:
    """The same rows but one: changed, added (no such id is there) or gone (`row` is None)."""

    rows: LookedAt
    entity: str
    row_id: str
    row: Row | None

    def find(
        self, node: ir.ExistsNode, values: tuple[Value, ...], without: str | None = None
    ) -> Row | None:
        """Return a row that matches, or None."""
        if node.entity != self.entity:
            return self.rows.find(node, values, without)
        if self.row is not None and without != self.row_id and matches(node, values, self.row):
            return self.row
        return self.rows.find(node, values, self.row_id)

    def near(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> list[Row]:
        """Return some rows that satisfy at least one filter."""
        return self.rows.near(node, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment of one decision. For an update `row` is stored and `after` is to be stored."""

    identity: Identity
    now: str
    rows: LookedAt
    row: Row | None = None
    after: Row | None = None
    args: Mapping[str, Any] | None = None
    is_disabled: bool = False

    def lookup(self, node: ir.ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists`."""
        return self.rows.find(node, values) is not None


@dataclass(frozen=True, slots=True)
class Part:
    """One condition that must hold, and the images that it is asked over."""

    label: str
    policy: CompiledExpression
    data: Row | None = None
    old: Row | None = None
    new: Row | None = None
    #: It comes before the policy and is of no interest where it holds.
    is_gate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is decided: an access to a row, or (`access` None) the call of a function."""

    schema: Schema
    policy: CompiledExpression
    read: CompiledExpression | None = None
    entity: Entity | None = None
    access: Access | None = None
    #: The field whose own read policy `policy` is.
    field: str | None = None

    def parts(self, scene: Scene) -> list[Part]:
        """Return what must hold, in the order of judgement."""
        gates = [Part("the account is disabled", NOT_DISABLED, is_gate=True)]
        gates = gates if scene.is_disabled else []
        signed_in = Part("signed in", SIGNED_IN, is_gate=True)
        match self.access:
            case Access.READ if self.field is not None and self.read is not None:
                may_read = Part("may read", self.read, scene.row, is_gate=True)
                return [*gates, may_read, Part(self.field, self.policy, scene.row)]
            case Access.READ | None:
                return [*gates, Part("", self.policy, scene.row)]
            case Access.INSERT:
                return [*gates, signed_in, Part("", self.policy, scene.row)]
            case Access.UPDATE | Access.DELETE:
                return [*gates, signed_in, *self._changes(scene)]

    def _changes(self, scene: Scene) -> list[Part]:
        assert self.read is not None
        may_read = Part("may read", self.read, scene.row, is_gate=True)
        if self.access is Access.DELETE:
            return [may_read, Part("", self.policy, scene.row)]
        is_same = scene.after == scene.row
        if self.policy.speaks_of_both_images:
            label = "" if is_same else "before and after"
            return [may_read, Part(label, self.policy, scene.after, scene.row, scene.after)]
        if is_same:  # one tree says it
            return [may_read, Part("", self.policy, scene.row)]
        before = Part("before", self.policy, scene.row)
        return [may_read, before, Part("after", self.policy, scene.after)]

    def is_allowed(self, scene: Scene) -> bool:
        """Tell whether every part holds, by the predicates that are enforced."""
        return all(
            part.policy.uncounted.allows(
                scene.identity, part.data, old=part.old, new=part.new, now=scene.now,
                args=scene.args, lookup=scene.lookup,
            )
            for part in self.parts(scene)
        )  # fmt: skip


def with_row(scene: Scene, entity: Entity, changed: Row, *, is_stored: bool) -> Scene:
    """Return the scene with another row, also where an `exists` looks at it."""
    if not is_stored:
        return replace(scene, row=changed)
    rows = Altered(scene.rows, entity.name, str(changed["id"]), changed)
    return replace(scene, row=changed, rows=rows)
