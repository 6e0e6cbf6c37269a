"""The policy applied: may this identity read, insert, update, delete this row, now?

Every question is asked of the state of this moment on the connection that is handed in; a row
that may not be read is answered as if it were missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pylon.app.definition import AppDefinition
from pylon.errors import PolicyDenied, Unauthenticated
from pylon.identity import Identity, IdentityKind
from pylon.policy.compiled import CompiledPolicy, ExistsNode
from pylon.policy.fields import NOTHING
from pylon.schema.model import Access, Entity, Row, Value
from pylon.server.auth.sessions import caller_at, caller_in
from pylon.server.storage.accounts import Account, Rows
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """What a policy was asked and denied; `policy` is a function's guard, without an entity."""

    definition: AppDefinition
    identity: Identity
    now: str
    entity: Entity | None = None
    access: Access | None = None
    row: Row | None = None
    after: Row | None = None
    policy: CompiledPolicy | None = None
    args: Mapping[str, Any] | None = None


class Reader(Protocol):
    """What rows are read from: a transaction or a read connection."""

    def get(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row, or None."""
        ...

    def stand_in(self, entity: Entity, row_id: str) -> Row | None:
        """Return a row to judge in the place of one that is missing."""
        ...

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
    return policy.holds(identity, row, now, reader.exists)


def readable_row(
    definition: AppDefinition, identity: Identity, entity: Entity, row_id: str, now: str,
    reader: Reader,
) -> Row | None:  # fmt: skip
    """Return a row that the identity may read, or None."""
    row = reader.get(entity, row_id)
    if row is None:
        judge_another(definition, identity, entity, row_id, now, reader)
        return None
    return row if may_read(definition, identity, entity, row, now, reader) else None


def judge_another(
    definition: AppDefinition, identity: Identity, entity: Entity, row_id: str, now: str,
    reader: Reader,
) -> None:  # fmt: skip
    """Judge another row in the place of one that is missing, and forget the answer.

    Nobody can tell then by how long it takes that a row is missing, and not hidden.
    """
    row = reader.stand_in(entity, row_id)
    if row is not None and not identity.is_system:
        policy = definition.policies.get(entity.name, Access.READ).uncounted
        policy.holds(identity, row, now, reader.exists)


def hidden_fields(
    definition: AppDefinition, identity: Identity, entity: Entity, row: Row, now: str,
    reader: Reader,
) -> frozenset[str]:  # fmt: skip
    """Return the fields of a readable row that the identity does not get."""
    fields = definition.policies.fields_of(entity.name)
    return fields.hidden_from(identity, row, now, reader.exists) if fields else NOTHING


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
        is_allowed = policy.holds(identity, row, now, reader.exists)
    elif policy.speaks_of_both_images:
        is_allowed = policy.allows(
            identity, after, old=row, new=after, now=now, lookup=reader.exists
        )
    else:
        is_allowed = policy.holds(identity, row, now, reader.exists) and policy.holds(
            identity, after, now, reader.exists
        )
    if not is_allowed:
        denied = PolicyDenied(f"the policy does not allow to {access} this {entity.name}")
        denied.denial = Denial(
            definition=definition, identity=identity, now=now, entity=entity, access=access,
            row=row, after=after,
        )  # fmt: skip
        raise denied


def fresh_identity(transaction: Transaction, identity: Identity) -> Identity:
    """Return the caller as the database knows him now, inside the operation (I60).

    Raises Unauthenticated where the session is gone or the account is disabled.
    """
    if identity.kind is not IdentityKind.USER:
        return identity
    key = (identity.user_id, identity.session_id)
    found: Identity | None = transaction.batch_facts.get(key)
    if found is None:
        found = transaction.batch_facts[key] = _as_now(identity, caller_in(transaction, identity))
    return found


def identity_now(identity: Identity, rows: Rows, now_ms: int) -> Identity:
    """Return the caller as the database knows him now, for reads that come long after he asked.

    Raises as `fresh_identity`.
    """
    if identity.kind is not IdentityKind.USER:
        return identity
    return _as_now(identity, caller_at(rows, identity, now_ms))


def _as_now(identity: Identity, account: Account) -> Identity:
    if account.auth_version == identity.auth_version:
        return identity
    return replace(
        identity, email=account.proven_email, roles=account.roles,
        auth_version=account.auth_version,
    )  # fmt: skip
