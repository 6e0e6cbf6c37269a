"""`include`: paths of relations, checked against the schema, each hop behind its own policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument
from pylon.identity import Identity
from pylon.policy.mistakes import nearest
from pylon.schema.model import Entity
from pylon.schema.relations import Relation, relations_of
from pylon.server.functions.queries import read_clause, unusable_fields, wire_clause
from pylon.server.storage.expand import Hop


@dataclass(slots=True)
class Node:
    """One hop of the paths asked for, and what is asked for behind it."""

    relation: Relation
    children: dict[str, Node] = field(default_factory=dict)


def hops_of(
    definition: AppDefinition, identity: Identity, entity: Entity, include: Any, now: str
) -> tuple[Hop, ...]:
    """Return what is fetched beside the rows of an entity; raises InvalidArgument.

    Args:
        definition: the app.
        identity: who asks.
        entity: whose rows the paths start at.
        include: a list of paths such as `channel.members`; None for none.
        now: the time that policies are asked at.
    """
    tree = tree_of(definition, identity, entity, include)
    return _hops(definition, identity, entity, tree, now)


def tree_of(
    definition: AppDefinition, identity: Identity, entity: Entity, include: Any
) -> dict[str, Node]:
    """Return the paths asked for as one tree of relations; raises InvalidArgument."""
    root: dict[str, Node] = {}
    if include is None:
        return root
    if not isinstance(include, list) or not all(isinstance(one, str) for one in include):
        raise InvalidArgument('include is a list of paths, such as ["author"]', field="include")
    counted = 0
    for path in include:
        parts = path.split(".")
        if len(parts) > limits.INCLUDE_HOPS_MAX:
            raise InvalidArgument(
                f"a path of include has at most {limits.INCLUDE_HOPS_MAX} hops", field="include"
            )
        at, nodes = entity, root
        for place in range(len(parts)):
            relation = _relation(definition, identity, at, parts, place)
            if relation.name not in nodes:
                nodes[relation.name] = Node(relation)
                counted += 1
                if counted > limits.INCLUDE_RELATIONS_MAX:
                    raise InvalidArgument(
                        f"include names at most {limits.INCLUDE_RELATIONS_MAX} relations",
                        field="include",
                    )
            nodes = nodes[relation.name].children
            at = definition.schema.entities[relation.entity]
    return root


def _relation(
    definition: AppDefinition, identity: Identity, at: Entity, parts: list[str], place: int
) -> Relation:
    known = {
        name: one
        for name, one in relations_of(definition.schema, at).items()
        if not _is_unusable(definition, identity, at, one)
    }
    found = known.get(parts[place])
    if found is not None:
        return found
    before = "".join(f"{one}." for one in parts[:place])
    shown = [f"{before}{name}" for name, one in known.items() if name == one.name]
    hint = nearest(f"{before}{parts[place]}", shown)
    if hint is None and shown:
        hint = f"there are {', '.join(shown[:20])}"
    raise InvalidArgument(
        f"{at.name} has no relation {parts[place][:64]}", field="include", hint=hint
    )


def _is_unusable(
    definition: AppDefinition, identity: Identity, at: Entity, relation: Relation
) -> bool:
    """Tell whether following a relation would say what a field holds that the caller can't name."""
    holder = definition.schema.entities[relation.entity] if relation.is_back else at
    return relation.field.name in unusable_fields(definition, identity, holder)


def _hops(
    definition: AppDefinition, identity: Identity, at: Entity, nodes: dict[str, Node], now: str
) -> tuple[Hop, ...]:
    hops = []
    for name, node in nodes.items():
        relation = node.relation
        target = definition.schema.entities[relation.entity]
        hops.append(
            Hop(
                name=name, entity=target, source=relation.source, target=relation.target,
                is_list=relation.is_back, replaces=name in at.by_name,
                policy=read_clause(definition, identity, target, now),
                wire=wire_clause(definition, identity, target, now),
                children=_hops(definition, identity, target, node.children, now),
            )
        )  # fmt: skip
    return tuple(hops)
