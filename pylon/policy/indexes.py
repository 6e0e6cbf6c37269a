"""Which indexes an `exists` needs, and the advice that names a missing one."""

from __future__ import annotations

from collections.abc import Iterable

from pylon.policy import ir
from pylon.policy.slots import walk
from pylon.schema.model import Entity


def first_fields(entity: Entity) -> set[str]:
    """Return the fields by which an index finds rows."""
    return {index.fields[0] for index in entity.indexes} | {"id"}


def missing_for_lookup(entity: Entity, filters: Iterable[ir.ExistsFilter]) -> str | None:
    """Return what to add to the looked-at entity; None where an index finds its rows."""
    keys = list(dict.fromkeys(one.field for one in filters if one.op in ("==", "in")))
    if first_fields(entity) & set(keys):
        return None
    if not keys:
        return f"compare an indexed field of {entity.name} with == or in"
    names = ", ".join(f'"{key}"' for key in keys)
    return f"add to {entity.name}: by_{'_'.join(keys)} = index({names})"


def missing_for_slices(entity: Entity, condition: ir.Condition) -> tuple[str, ...]:
    """Name the fields of the entity itself that an exists is keyed by and no index covers.

    A change of the looked-at entity moves the rows with that key, and they must be found.
    """
    keys = {
        one.value.name
        for node in walk(condition)
        if isinstance(node, ir.ExistsNode)
        for one in node.filters
        if one.op == "==" and isinstance(one.value, ir.Column)
    }
    return tuple(
        f'{entity.name} has no index that begins with {name}: add by_{name} = index("{name}")'
        for name in sorted(keys - first_fields(entity))
    )
