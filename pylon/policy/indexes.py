"""Which indexes an `exists` needs, and the advice that names a missing one."""

from __future__ import annotations

from collections.abc import Iterable

from pylon import limits
from pylon.policy import ir
from pylon.policy.slices import SliceRule
from pylon.policy.timing import Timing
from pylon.schema.model import Entity, Schema


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


def missing_for_slices(entity: Entity, rules: Iterable[SliceRule]) -> tuple[str, ...]:
    """Return advice about what is read when another entity changes: few rows, by an index.

    A change of the looked-at entity moves the rows that an exists is keyed by, and they must be
    found; where nothing keys it, they are all rows there are.
    """
    references = {one.name for one in entity.fields if one.ref is not None}
    advice = []
    for rule in rules:
        keys = list(dict.fromkeys(name for name, _ in rule.data))
        if not keys:
            advice.append(
                f"{entity.name}: each change of {rule.looks_at} that its policy looks at has all"
                f" rows of {entity.name} read anew by everybody who follows them; compare a field"
                f" of {rule.looks_at} with a public field of {entity.name} by =="
            )
        elif not (first_fields(entity) | references) & set(keys):
            names = ", ".join(f'"{key}"' for key in keys)
            advice.append(
                f"{entity.name} has no index that begins with {' or '.join(keys)}:"
                f" add by_{'_'.join(keys)} = index({names})"
            )
    return tuple(dict.fromkeys(advice))


def missing_for_time(schema: Schema, timing: Timing) -> tuple[str, ...]:
    """Return advice about policies over now: when the next row turns is looked up by an index."""
    advice = []
    for rule in timing.rules:
        if rule.field not in first_fields(schema.entities[rule.looks_at]):
            advice.append(
                f"{rule.looks_at}.{rule.field} is compared with now and has no index that begins"
                f' with it: add by_{rule.field} = index("{rule.field}")'
            )
        if rule.rule is None and not rule.is_told:
            advice.append(
                f"{rule.entity}.{rule.field} is compared with now, and not everybody gets it: at"
                f" each such time all rows of {rule.entity} are read anew by all who follow them"
            )
    advice += [
        f"{name} uses now in a way that does not say when it turns: its rows are read anew every"
        f" {limits.UNFORESEEN_SECONDS:g} s; compare now with a time of the row"
        for name in sorted(timing.unforeseen)
    ]
    return tuple(dict.fromkeys(advice))
