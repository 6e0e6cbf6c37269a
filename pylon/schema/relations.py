"""Relations: the names under which a row's neighbours are asked for (`include`).

A Ref field leads *to* one row and is named by the field without its `Id`: `authorId` → `author`.
Rows that refer to this one lead *back* as a list, named by their entity and the field:
`membershipsByChannel`, or `memberships` alone where one field of that entity refers here. A
private field makes no relation, since following it would say what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylon.schema.model import Entity, Field, Schema

_ES = ("s", "x", "z", "ch", "sh")


@dataclass(frozen=True, slots=True)
class Relation:
    """One way from a row to its neighbours, which match by `source` here and `target` there."""

    name: str
    #: The entity that it leads to.
    entity: str
    #: The Ref field, of this entity or of the one that refers here.
    field: Field
    is_back: bool

    @property
    def source(self) -> str:
        """Return the column of this row."""
        return "id" if self.is_back else self.field.name

    @property
    def target(self) -> str:
        """Return the column of its neighbours."""
        return self.field.name if self.is_back else "id"


def relations_of(schema: Schema, entity: Entity) -> dict[str, Relation]:
    """Return the relations of an entity by every name that a request may use.

    A Ref field's own name stands for its relation too.
    """
    found: dict[str, Relation] = {}
    for one in entity.public_fields:
        if one.ref is not None:
            relation = Relation(forward_name(entity, one), one.ref, one, is_back=False)
            found[relation.name] = found[one.name] = relation
    taken = {"id", *entity.by_name, *found}
    back = _back(schema, entity)
    return found | {name: one for name, one in back.items() if name not in taken}


def forward_name(entity: Entity, field: Field) -> str:
    """Return the name of the relation of a Ref field."""
    short = field.name.removesuffix("Id")
    is_free = short and short != field.name and short not in entity.by_name
    return short if is_free and short not in ("id", "and", "or", "not") else field.name


def _back(schema: Schema, entity: Entity) -> dict[str, Relation]:
    """Return the back relations by name; a name that could mean two of them means none."""
    pairs = [one for one in schema.referrers.get(entity.name, ()) if not one[1].private]
    #: Names in three ranks: a lower one gives way to a higher one.
    ranks: tuple[dict[str, list[tuple[Entity, Field]]], ...] = ({}, {}, {})
    for referrer, field in pairs:
        base = _plural(referrer.name[:1].lower() + referrer.name[1:])
        by = forward_name(referrer, field)
        names = [f"{base}By{by[:1].upper()}{by[1:]}", base]
        if base.endswith("ships") and len(base) > len("ships"):
            names.append(_plural(base.removesuffix("ships")))
        for rank, name in zip(ranks, names, strict=False):
            rank.setdefault(name, []).append((referrer, field))
    found: dict[str, Relation] = {}
    for rank in ranks:
        for name, meant in rank.items():
            (referrer, field), *others = meant
            if not others and name not in found:
                found[name] = Relation(name, referrer.name, field, is_back=True)
    return found


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(_ES) else f"{word}s"
