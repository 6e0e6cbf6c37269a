"""What the policies ask for, as lines of comment: read where a call is written, not where it fails.

Pure. What does not live here: the types themselves (`app`).
"""

from __future__ import annotations

from collections.abc import Iterator

from pylon.app.definition import AppDefinition
from pylon.app.functions import Function
from pylon.schema.model import Access, Entity


def entity_needs(definition: AppDefinition, entity: Entity) -> Iterator[str]:
    """Yield a line for each access to an entity, and for each field that asks for more."""
    for access in Access:
        policy = definition.policies.get(entity.name, access)
        said = policy.sentence if policy.text else "nobody: there is no policy for it"
        yield f"{access.value}: {said}"
    for name, field_policy in definition.policies.fields_of(entity.name).policies.items():
        yield f"read of {name}: {field_policy.sentence}"


def function_needs(function: Function) -> Iterator[str]:
    """Yield who may call a function, and how often."""
    if function.allow is None:
        yield "call: whoever is signed in"
    else:
        yield f"call: {function.allow.sentence}"
    if function.rate is not None:
        yield f"rate: {function.rate.calls} in {function.rate.seconds:g} s for each caller"
