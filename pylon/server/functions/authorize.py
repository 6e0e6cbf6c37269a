"""The policy applied: may this identity read, insert, update, delete this row, now?

Every question is asked of the state of this moment on the connection that is handed in; a row
that may not be read is answered as if it were missing.
"""

from __future__ import annotations

from typing import Protocol

from pylon.app.definition import AppDefinition
from pylon.errors import PolicyDenied, Unauthenticated
from pylon.identity import Identity, IdentityKind
from pylon.policy.compiled import ExistsNode
from pylon.schema.model import Access, Entity, Row, Value


class Reader(Protocol):
    """What can answer an `exists`: a transaction or a read connection."""

    def exists(self, node: ExistsNode, values: tuple[Value, ...]) -> bool:
        """Answer an `exists` of a policy."""
        ...


def may_read(
    definition: AppDefinition, identity: Identity, entity: Entity, row: Row, now: str,
    reader: Reader,
) -> bool:  # fmt: skip
    """Tell whether the identity may read the row."""
    if identity.is_system:
        return True
    policy = definition.policies.get(entity.name, Access.READ)
    return policy.allows(identity, row, now=now, lookup=reader.exists)


def demand_signed_in(identity: Identity) -> None:
    """Raise Unauthenticated for an anonymous caller."""
    if identity.kind is IdentityKind.ANONYMOUS:
        raise Unauthenticated()


def demand(
    definition: AppDefinition, identity: Identity, entity: Entity, access: Access, row: Row,
    now: str, reader: Reader, *, after: Row | None = None,
) -> None:  # fmt: skip
    """Raise PolicyDenied unless the policy allows the access.

    For an update `row` is the stored image and `after` the coming one: the policy must hold for
    both, unless it speaks of old. and new. itself.
    """
    if identity.is_system:
        return
    policy = definition.policies.get(entity.name, access)
    if after is None:
        is_allowed = policy.allows(identity, row, now=now, lookup=reader.exists)
    elif policy.speaks_of_both_images:
        is_allowed = policy.allows(
            identity, after, old=row, new=after, now=now, lookup=reader.exists
        )
    else:
        is_allowed = policy.allows(identity, row, now=now, lookup=reader.exists) and policy.allows(
            identity, after, now=now, lookup=reader.exists
        )
    if not is_allowed:
        raise PolicyDenied(f"the policy does not allow to {access} this {entity.name}")
