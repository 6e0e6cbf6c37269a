"""Changes of the rows that an `exists` looks at: one changed, one added, one gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pylon import jsonvalue
from pylon.policy import ir
from pylon.policy.matching import satisfied, values_at
from pylon.policy.proposals import SOMEBODY, Proposal, Rank, above, below, beside, fitting
from pylon.policy.scene import Altered, Question, Scene, Sight
from pylon.policy.slots import walk
from pylon.policy.spelled import literal
from pylon.policy.types import type_of_field
from pylon.schema.model import Entity, Row


def row_proposals(
    question: Question,
    scene: Scene,
    node: ir.ExistsNode,
    values: tuple[Any, ...],
    sight: Sight,
) -> Iterator[Proposal]:
    """Yield changes that turn the answer of an `exists`.

    Args:
        question: what is decided.
        scene: the moment.
        node: the exists.
        values: its right-hand values, none of them absent.
        sight: what may be named.
    """
    if any(isinstance(one, ir.Column) and one.name in sight.hidden for one in walk(node)):
        return
    entity = question.schema.entities[node.entity]
    found = scene.rows.find(node, values)
    if found is not None:
        gone = _altered(scene, entity, str(found["id"]), None)
        is_seen = sight.may_see(entity.name, found)
        which = f"the {entity.name} {found['id']}" if is_seen else f"the {entity.name} that matches"
        yield Proposal(Rank.ADDED, f"{which} did not exist", gone)
        return
    for row in scene.rows.near(node, values):
        own = scene.row if entity == question.entity else None
        if own is None or own["id"] != row["id"]:  # the row itself is changed elsewhere
            yield from _almost(scene, entity, node, values, row)
    yield from _added(scene, entity, node, values)


def _almost(
    scene: Scene, entity: Entity, node: ir.ExistsNode, values: tuple[Any, ...], row: Row
) -> Iterator[Proposal]:
    """Yield the change of a row that misses one filter; who it is about stays."""
    held = satisfied(node, values, row)
    if held.count(False) != 1:
        return
    place = held.index(False)
    missed = node.filters[place]
    if missed.field == "id" or any(isinstance(one, ir.Fact) for one in walk(missed.value)):
        return
    for wanted in _satisfying(missed, values_at(node, values, place)):
        if not _is_storable(entity, missed.field, wanted):
            continue
        changed = _altered(scene, entity, str(row["id"]), {**row, missed.field: wanted})
        shown = _literal_of(entity, missed.field, wanted)
        yield Proposal(
            Rank.ROW, f"{missed.field} of the {entity.name} {row['id']} were {shown}", changed
        )


def _added(
    scene: Scene, entity: Entity, node: ir.ExistsNode, values: tuple[Any, ...]
) -> Iterator[Proposal]:
    row: Row = {"id": SOMEBODY, **dict.fromkeys(entity.by_name), "_seq": 0}
    words = []
    for place, one in enumerate(node.filters):
        wanted = next(
            (value for value in _satisfying(one, values_at(node, values, place))
             if _is_storable(entity, one.field, value)), None,
        )  # fmt: skip
        row[one.field] = wanted
        words.append(f"{one.field} {_literal_of(entity, one.field, wanted)}")
    there = _altered(scene, entity, SOMEBODY, row)
    yield Proposal(Rank.ADDED, f"a {entity.name} with {', '.join(words)} existed", there)


def _altered(scene: Scene, entity: Entity, row_id: str, row: Row | None) -> Scene:
    rows = Altered(scene.rows, entity.name, row_id, row)
    return replace(scene, rows=rows)


def _satisfying(one: ir.ExistsFilter, values: tuple[Any, ...]) -> list[Any]:
    """Return values of a field that may satisfy a filter; what does not is judged to fail."""
    if one.value is None:
        return [None] if one.op == "==" else [*beside(None, one.kind)]
    if one.op in ("in", "not in"):
        items = values if isinstance(one.value, tuple) else _decoded(values[0])
        return (
            list(items[:4]) if one.op == "in" else [*beside(items[0] if items else None, one.kind)]
        )
    match one.op:
        case "!=":
            return [*beside(values[0], one.kind)]
        case "<":
            return [*below(values[0], one.kind)]
        case ">":
            return [*above(values[0], one.kind)]
        case _:
            return [values[0]]


def _decoded(text: Any) -> list[Any]:
    found = jsonvalue.decode_trusted(text)
    return found if isinstance(found, list) else []


def _is_storable(entity: Entity, name: str, value: Any) -> bool:
    field = entity.by_name.get(name)
    if field is None:
        return name == "id"
    return bool(fitting(field, value))


def _literal_of(entity: Entity, name: str, value: Any) -> str:
    field = entity.by_name.get(name)
    return literal(value, None if field is None else type_of_field(field))
