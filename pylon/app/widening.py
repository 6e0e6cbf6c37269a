"""What a new version of an app lets anonymous callers do that the one served before did not.

The version before is known by its texts, which are compiled anew. What can't be compared (a text
about a field that is gone, say) counts as a widening, unless the new policy is proved to let no
anonymous caller through at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.app.matrix import field_policy
from pylon.policy import ir
from pylon.policy.abstract import TRUE, Who
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, compile_allow, compile_policy
from pylon.policy.worlds import NOT_TRUE, is_impossible
from pylon.schema.model import Access, Entity, Field, Position, Schema

_NOBODY = "nobody"
_CLOSED = ir.Constant(value=False)


@dataclass(frozen=True, slots=True)
class Widening:
    """One access that anonymous callers may get, in words before and now."""

    subject: str
    access: str
    before: str
    now: str
    position: Position | None = None

    def render(self) -> str:
        """Return the paragraph that people read."""
        at = f"  {self.position.file}:{self.position.line}" if self.position else ""
        return f"{self.subject} {self.access}{at}\n  before: {self.before}\n  now:    {self.now}"


def policy_texts(definition: AppDefinition) -> dict[str, Any]:
    """Return what is remembered of an app's policies: their texts, as plain JSON."""
    entities = definition.schema.entities.values()
    return {
        "entities": {
            one.name: {access.value: text for access, text in one.policies.items()}
            for one in entities
        },
        "fields": {
            one.name: {
                each.name: {"private": each.private, "read": each.read} for each in one.fields
            }
            for one in entities
        },
        "functions": {
            name: None if one.allow is None else one.allow.text
            for name, one in definition.functions.items()
            if not one.is_internal
        },
    }


def widenings(before: Mapping[str, Any], definition: AppDefinition) -> list[Widening]:
    """Return all accesses that anonymous callers may have gained since `before`.

    Args:
        before: the `policy_texts` of the version served before.
        definition: the new version.
    """
    found: list[Widening] = []
    for entity in definition.schema.entities.values():
        found += _of_entity(before, definition, entity)
    for name, function in definition.functions.items():
        if not function.is_internal and function.allow is not None:
            found += _of_function(before, definition.schema, name, function)
    return found


def _of_entity(
    before: Mapping[str, Any], definition: AppDefinition, entity: Entity
) -> Iterator[Widening]:
    texts = before["entities"].get(entity.name, {})
    for access in Access:
        new = definition.policies.policies.get((entity.name, access))
        if new is None:
            continue

        def compiled(text: str, access: Access = access) -> CompiledPolicy:
            return compile_policy(text, entity=entity, access=access, schema=definition.schema)

        old = _Before(texts.get(access.value), compiled)
        if _may_gain(new.condition, old.condition):
            position = entity.policy_positions.get(access, entity.position)
            yield Widening(entity.name, access.value, old.words, new.sentence, position)
    read = definition.policies.policies.get((entity.name, Access.READ))
    known = before["fields"].get(entity.name, {})
    for one in entity.fields:
        # A field that was renamed holds what the one of before held.
        old_field = known.get(one.name) or known.get(one.renamed_from)
        if read is not None and old_field is not None and not one.private:
            yield from _of_field(old_field, definition, entity, one, read.condition)


def _of_field(
    before: Mapping[str, Any], definition: AppDefinition, entity: Entity, one: Field,
    row: ir.Condition,
) -> Iterator[Widening]:  # fmt: skip
    """Yield the field where it may now be read in rows that anonymous callers may read."""

    def compiled(text: str) -> CompiledPolicy:
        return compile_policy(
            text, entity=entity, access=Access.READ, schema=definition.schema,
            field_name=one.name,
        )  # fmt: skip

    new = field_policy(definition, entity, one)
    if before["private"]:
        old_condition: ir.Condition | None = _CLOSED
        words = "private"
    elif before["read"] is None:
        return  # it was read wherever its row was
    else:
        old = _Before(before["read"], compiled)
        old_condition, words = old.condition, old.words
    now = row if new is None else ir.Conjunction((row, new.condition))
    if _may_gain(now, old_condition):
        said = "whoever reads the row" if new is None else new.sentence
        yield Widening(
            f"{entity.name}.{one.name}", "read", words, said, one.read_position or one.position
        )


def _of_function(
    before: Mapping[str, Any], schema: Schema, name: str, function: Function
) -> Iterator[Widening]:
    assert function.allow is not None

    def compiled(text: str) -> CompiledPolicy:
        return compile_allow(text, arguments=function.arguments.policy_kinds(), schema=schema)

    is_known = name in before["functions"]
    text = before["functions"].get(name)
    old = _Before(text, compiled)
    if _may_gain(function.allow.condition, old.condition):
        words = "every signed-in caller (no allow=)" if is_known and text is None else old.words
        yield Widening(f"{name}()", "call", words, function.allow.sentence)


class _Before:
    """A policy of before: its condition, None where it can't be made sense of any more."""

    def __init__(self, text: str | None, compiled: Callable[[str], CompiledPolicy]) -> None:
        self.condition: ir.Condition | None = _CLOSED
        self.words = _NOBODY
        if text is None:
            return
        try:
            policy = compiled(text)
        except PolicyMistakes:
            self.condition, self.words = None, text
        else:
            self.condition, self.words = policy.condition, policy.sentence


def _may_gain(new: ir.Condition, old: ir.Condition | None) -> bool:
    """Tell whether it is not proved that anonymous callers get nothing new."""
    if is_impossible([(new, TRUE)], Who.ANONYMOUS):
        return False
    return old is None or not is_impossible([(new, TRUE), (old, NOT_TRUE)], Who.ANONYMOUS)
