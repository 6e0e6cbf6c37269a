"""What moves rows in and out of views: entities that policies look at, and other policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pylon.app.definition import AppDefinition
from pylon.policy.compiled import CompiledPolicy, PolicyMistakes, compile_policy
from pylon.schema.model import Access, OnDelete, Schema

#: A policy grows by a few words at most: texts have a limit.
_TEXT_MAX: Final = 4_000


def read_policies(definition: AppDefinition) -> dict[str, CompiledPolicy]:
    """Return the read policy of every entity."""
    return {name: definition.policies.get(name, Access.READ) for name in definition.schema.entities}


def looked_at(definition: AppDefinition) -> list[str]:
    """Return the entities whose rows decide about rows of others, by name."""
    asked = (one for name in definition.schema.entities for one in definition.policies.reads(name))
    return sorted({node.entity for policy in asked for node in policy.exists})


def carriers(definition: AppDefinition) -> list[str]:
    """Return the entities of which a deleted row takes looked-at rows with it, by name."""
    reached = set(looked_at(definition))
    found: set[str] = set()
    while True:
        more = {
            str(one.ref)
            for name in reached | found
            for one in definition.schema.entities[name].fields
            if one.ref not in (None, "User") and one.on_delete is OnDelete.CASCADE
        } - found
        if not more:
            return sorted(found)
        found |= more


def timed(definition: AppDefinition) -> list[str]:
    """Return the entities of which rows come and go as time passes, by name."""
    entities = definition.schema.entities
    return sorted(
        name for name in entities if any(one.uses_now for one in definition.policies.reads(name))
    )


def other_policies(definition: AppDefinition, entity: str, roles: list[str]) -> list[str]:
    """Return read policies that an entity might have instead of its own, all of which compile."""
    own = definition.policies.get(entity, Access.READ).text
    texts = ["auth.userId != null", "true"]
    if own and len(own) < _TEXT_MAX:
        texts += [own, f"!({own})", f"({own}) && auth.userId != null"]
        texts += [f"({own}) || hasRole('{role}')" for role in roles]
        texts += [f"({own}) && !hasRole('{role}')" for role in roles]
    return [text for text in texts if _compiled(definition.schema, entity, text) is not None]


def _compiled(schema: Schema, entity: str, text: str) -> CompiledPolicy | None:
    try:
        return compile_policy(
            text, entity=schema.entities[entity], access=Access.READ, schema=schema
        )
    except PolicyMistakes:
        return None


def with_read_policy(definition: AppDefinition, entity: str, text: str) -> AppDefinition:
    """Return an app as it is after an edit of one read policy: another generation."""
    schema = definition.schema
    policy = _compiled(schema, entity, text)
    assert policy is not None, f"{text} is no policy of {entity}"
    model = schema.entities[entity]
    entities = {
        **schema.entities,
        entity: replace(model, policies={**model.policies, Access.READ: text}),
    }
    return replace(
        definition,
        generation=definition.generation + 1,
        schema=replace(schema, entities=entities),
        policies=replace(
            definition.policies,
            policies={**definition.policies.policies, (entity, Access.READ): policy},
        ),
    )
