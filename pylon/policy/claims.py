"""What can be said of policies for certain: each claim is proved, disproved, or left undecided.

A claim holds for all callers, rows and contents of other entities. It is proved over abstract
worlds (`worlds`) and disproved by a real one (`witness`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pylon.policy import ir
from pylon.policy.abstract import TRUE, Who
from pylon.policy.ir import SlotKind
from pylon.policy.slots import walk
from pylon.policy.witness import find_world
from pylon.policy.worlds import NOT_TRUE, Want, is_impossible
from pylon.schema.model import Entity, Schema


class Verdict(StrEnum):
    """What is known of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges claims about rows of one entity; without one nothing is disproved."""

    schema: Schema
    entity: Entity | None

    def no_world(self, wants: Sequence[Want], who: Who = Who.ANYBODY) -> Verdict:
        """Judge the claim that no world has all these outcomes at once."""
        if is_impossible(wants, who):
            return Verdict.HOLDS
        if self.entity is None or find_world(wants, self.schema, self.entity, who) is None:
            return Verdict.NOT_DECIDED
        return Verdict.FAILS

    def never(self, condition: ir.Condition, who: Who = Who.ANYBODY) -> Verdict:
        """Judge the claim that no such caller is ever allowed anything."""
        return self.no_world([(condition, TRUE)], who)

    def always(self, condition: ir.Condition, who: Who = Who.ANYBODY) -> Verdict:
        """Judge the claim that every such caller is allowed everything."""
        return self.no_world([(condition, NOT_TRUE)], who)

    def within(self, one: ir.Condition, other: ir.Condition) -> Verdict:
        """Judge the claim that the second allows whatever the first does."""
        return self.no_world([(one, TRUE), (other, NOT_TRUE)])


def with_image(node: Any, image: str) -> Any:
    """Return a condition that asks of another image what it asks of `data`."""
    if isinstance(node, tuple):
        return tuple(with_image(one, image) for one in node)
    if isinstance(node, ir.Column):
        return (
            ir.Column(image, node.name, node.type, node.nullable, node.field_kind)
            if node.image == "data" else node
        )  # fmt: skip
    if isinstance(node, ir.Slot | ir.ValueType | ir.Const) or type(node).__module__ != ir.__name__:
        return node
    names = getattr(node, "__dataclass_fields__", None)
    if names is None:
        return node  # a name of an enumeration
    return type(node)(*(with_image(getattr(node, name), image) for name in names))


def roles_named(condition: ir.Condition) -> frozenset[str]:
    """Return the roles that a condition asks for by name."""
    found: set[str] = set()
    for node in walk(condition):
        match node:
            case ir.FactHolds(slot) if slot.kind is SlotKind.HAS_ANY_ROLE:
                found |= set(slot.names)
            case ir.MemberOf(ir.Const(name), ir.Fact(slot)) if slot.kind is SlotKind.ROLES:
                found.add(str(name))
    return frozenset(found)


def is_same_meaning(one: ir.Condition, other: ir.Condition) -> bool:
    """Tell whether two conditions are the same question, however they were written.

    By their spelling: as values 1, 1.0 and true are equal, and here they must not be.
    """
    return repr(one) == repr(other)
