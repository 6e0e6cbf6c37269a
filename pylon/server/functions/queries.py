"""What a list asks for: filter, order, limit and page, checked against the entity.

Shared by HTTP lists, subscriptions and `ctx.db`, so that one filter means one thing everywhere.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import Any

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument, InvalidJson, NotFound
from pylon.identity import Identity
from pylon.policy.compiled import CompiledFilter
from pylon.policy.filters import compile_filter
from pylon.policy.mistakes import nearest
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Access, Entity, Field, FieldKind
from pylon.server.auth.scopes import demand_entity
from pylon.server.storage.select import NO_CLAUSE, WHOLE_WIRE, OrderTerm

_UNORDERED = (
    FieldKind.LIST, FieldKind.OBJECT, FieldKind.JSON, FieldKind.BYTES, FieldKind.FILE
)  # fmt: skip
_ID = Field(name="id", kind=FieldKind.STR)


def entity_of(definition: AppDefinition, name: str) -> Entity:
    """Return an entity by name; raises NotFound with the nearest one."""
    entity = definition.schema.entities.get(name)
    if entity is None:
        raise NotFound(f"there is no entity {name}", hint=nearest(name, definition.schema.entities))
    return entity


def read_clause(
    definition: AppDefinition, identity: Identity, entity: Entity, now: str
) -> SqlClause:
    """Return the read policy as SQL over `t`; raises PolicyDenied beyond a token's scope."""
    demand_entity(identity, entity.name)
    if identity.is_system:
        return NO_CLAUSE
    policy = definition.policies.get(entity.name, Access.READ)
    return policy.clause(identity, alias="t", now=now)


def wire_clause(
    definition: AppDefinition, identity: Identity, entity: Entity, now: str
) -> SqlClause:
    """Return the SQL of a row's wire text over `t`: the fields that the caller gets."""
    fields = definition.policies.fields_of(entity.name)
    return fields.wire(identity, alias="t", now=now) if fields else WHOLE_WIRE


def unusable_fields(
    definition: AppDefinition, identity: Identity, entity: Entity
) -> frozenset[str]:
    """Return the fields, beside private ones, that the caller can't name in a question.

    Filters, orders, groups, sums and searches refuse them as if they did not exist: what they
    answered would tell values that he does not get.
    """
    return definition.policies.fields_of(entity.name).unusable(identity)


def unusable_everywhere(definition: AppDefinition, identity: Identity) -> dict[str, frozenset[str]]:
    """Return the same by entity: an expression may look at others by `exists`."""
    return {name: one.unusable(identity) for name, one in definition.policies.fields.items()}


@lru_cache(maxsize=2048)
def _filter(where_text: str, key: _EntityKey, hidden: frozenset[str]) -> CompiledFilter:
    where = jsonvalue.decode_trusted(where_text)
    return compile_filter(where, entity=key.entity, hidden=hidden)


class _EntityKey:
    """An entity as a cache key: by identity, since a definition's entities are made once."""

    __slots__ = ("entity",)

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    def __hash__(self) -> int:
        return id(self.entity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _EntityKey) and other.entity is self.entity


def filter_of(entity: Entity, where: Any, unusable: frozenset[str]) -> CompiledFilter:
    """Return the compiled filter of a JSON object; equal ones are compiled once.

    Args:
        entity: whose rows are filtered.
        where: the JSON object; None or {} selects all.
        unusable: fields that the caller can't name (`unusable_fields`).
    """
    return _filter(jsonvalue.canonical_json(where).decode(), _EntityKey(entity), unusable)


def field_of(entity: Entity, name: str, unusable: frozenset[str]) -> Field:
    """Return a field that a question may name, `id` among them.

    Raises InvalidArgument, in the same words, for one that there is not, one that is private, and
    one of those that the caller can't name (`unusable_fields`).
    """
    if name == "id":
        return _ID
    field = entity.by_name.get(name)
    if field is None or field.private or name in unusable:
        known = [one.name for one in entity.public_fields if one.name not in unusable]
        raise InvalidArgument(
            f"{entity.name} has no field {name}", field=name, hint=nearest(name, known)
        )
    return field


def ordered_field_of(entity: Entity, name: str, unusable: frozenset[str]) -> Field:
    """Return a field whose values have an order; raises InvalidArgument."""
    field = field_of(entity, name, unusable)
    if field.kind in _UNORDERED:
        raise InvalidArgument(f"{name} has no order", field=name)
    return field


def order_of(entity: Entity, order: Any, unusable: frozenset[str]) -> tuple[OrderTerm, ...]:
    """Return the order's terms, `id` last; raises InvalidArgument for unknown fields.

    Args:
        entity: whose rows are ordered.
        order: names, `-` before one that descends; None for `id`.
        unusable: fields that the caller can't name (`unusable_fields`).
    """
    if order is None:
        return (OrderTerm("id"),)
    if not isinstance(order, list) or not all(isinstance(one, str) for one in order):
        raise InvalidArgument("order is a list of field names", field="order")
    terms: dict[str, OrderTerm] = {}
    for one in order:
        name = one.removeprefix("-")
        ordered_field_of(entity, name, unusable)
        if name in terms:
            raise InvalidArgument(f"{name} stands twice in the order", field="order")
        terms[name] = OrderTerm(name, descending=one.startswith("-"))
    if "id" not in terms:
        terms["id"] = OrderTerm("id")
    # Behind the id nothing is left to decide.
    return tuple(terms.values())[: list(terms).index("id") + 1]


def limit_of(limit: Any) -> int:
    """Return a page's limit; raises InvalidArgument outside 1 to LIST_LIMIT_MAX."""
    if limit is None:
        return limits.LIST_LIMIT_DEFAULT
    if type(limit) is not int or not 1 <= limit <= limits.LIST_LIMIT_MAX:
        raise InvalidArgument(f"limit is 1 to {limits.LIST_LIMIT_MAX}", field="limit")
    return limit


def question_hash(entity: Entity, where: Any, order: tuple[OrderTerm, ...]) -> str:
    """Return what binds a page's `next` to its filter and order."""
    terms = [f"{'-' if term.descending else ''}{term.field}" for term in order]
    return jsonvalue.stable_hash([entity.name, where or {}, terms])[:16]


def encode_next(key: tuple[Any, ...] | None, question: str) -> str | None:
    """Return the opaque `next` of a page, or None on the last."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(jsonvalue.encode([question, *key])).decode().rstrip("=")


def decode_next(text: Any, question: str, terms: int) -> tuple[Any, ...] | None:
    """Return the key behind a `next`; raises InvalidArgument for one of another question."""
    if text is None:
        return None
    wrong = InvalidArgument("`after` is the `next` of the same filter and order", field="after")
    if not isinstance(text, str):
        raise wrong
    try:
        decoded = jsonvalue.parse(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, InvalidJson) as error:
        raise wrong from error
    is_ours = isinstance(decoded, list) and len(decoded) == terms + 1 and decoded[0] == question
    if not is_ours or any(isinstance(one, list | dict) for one in decoded):
        raise wrong
    if any(type(one) is int and not -(2**63) <= one < 2**63 for one in decoded):
        raise wrong  # no value of a row
    return tuple(decoded[1:])
