"""Why a caller may, or may not: explanations of row accesses over one read connection.

Asked by the owner for anybody, and in development on behalf of a caller who was refused. What the
explanation says is `policy.explain`; here rows, accounts and images are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument, NotFound
from pylon.identity import ANONYMOUS, Identity
from pylon.policy.compiled import CompiledPolicy
from pylon.policy.explain import Explanation, explain
from pylon.policy.mistakes import nearest
from pylon.policy.scene import Question, Scene, Sight
from pylon.schema.model import Access, Entity, Row
from pylon.schema.validate import validate_insert, validate_patch
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.sessions import identity_of
from pylon.server.functions.authorize import Denial
from pylon.server.functions.queries import entity_of, unusable_fields
from pylon.server.storage import accounts
from pylon.server.storage.looked_at import LookedAtRows
from pylon.server.storage.readers import ReadConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: whose access to which row, and for an update what it would set."""

    entity: str
    row_id: str
    user: str
    access: Access = Access.READ
    values: Mapping[str, Any] | None = None
    #: Of a read: the field of which is asked, instead of the row.
    field: str | None = None


def asked_of(given: Mapping[str, Any]) -> Asked:
    """Return the question of a request's arguments; raises InvalidArgument."""
    for name in ("entity", "id", "as"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise InvalidArgument(f"{name} is a text", field=name)
    access, values = given.get("access") or Access.READ, given.get("values")
    if access not in list(Access):
        raise InvalidArgument(f"access is one of {', '.join(Access)}", field="access")
    if values is not None and not isinstance(values, dict):
        raise InvalidArgument("values is an object of fields", field="values")
    field = given.get("field")
    if field is not None and (not isinstance(field, str) or access != Access.READ):
        raise InvalidArgument("field is the name of a field, of a read", field="field")
    return Asked(
        entity=given["entity"], row_id=given["id"], user=given["as"], access=Access(access),
        values=values, field=field,
    )  # fmt: skip


def explain_row(
    definition: AppDefinition, connection: ReadConnection, asked: Asked, now: str,
    sight: Sight | None = None,
) -> Explanation:  # fmt: skip
    """Return why a user may do something with a row, or may not; raises NotFound.

    An insert is judged as if the row that is there were to be inserted now; the owner may also ask
    about one that is not there, by the values that would be set.
    """
    entity = entity_of(definition, asked.entity)
    identity, is_disabled = _who(connection, asked.user)
    row, after = connection.get(entity, asked.row_id), None
    is_insert = asked.access is Access.INSERT
    if row is None:
        if not is_insert or asked.values is None or sight is not None:
            raise _no_row(connection, entity, asked, is_owner=sight is None)
        row = validate_insert(
            entity, asked.values, now=now, actor=identity.user_id, new_id=lambda: asked.row_id,
            row_id=asked.row_id,
        )  # fmt: skip
    elif asked.access in (Access.UPDATE, Access.INSERT):
        changed = {**row, **validate_patch(entity, asked.values or {}, is_insert=is_insert)}
        row, after = (changed, None) if is_insert else (row, changed)
    scene = Scene(
        identity=identity, now=now, row=row, after=after, is_disabled=is_disabled,
        rows=LookedAtRows(connection.raw, connection.tables),
    )  # fmt: skip
    question = _question(definition, entity, asked.access)
    if asked.field is not None:
        own = _field_policy(definition, entity, asked.field)
        question = replace(question, policy=own, field=asked.field)
    return explain(question, scene, sight)


def _field_policy(definition: AppDefinition, entity: Entity, name: str) -> CompiledPolicy:
    found = definition.policies.fields_of(entity.name).policies.get(name)
    if found is None:
        hint = nearest(name, entity.by_name)
        if name in entity.by_name:
            hint = (
                "private fields leave for nobody"
                if entity.by_name[name].private
                else (f"who reads the {entity.name} reads it")
            )
        raise InvalidArgument(f"{name} has no read policy of its own", hint=hint, field="field")
    return found


def explain_denial(connection: ReadConnection, denial: Denial) -> Explanation:
    """Return why a policy refused, as much of it as the one who was refused may know."""
    definition, entity, access = denial.definition, denial.entity, denial.access
    scene = Scene(
        identity=denial.identity, now=denial.now, row=denial.row, after=denial.after,
        args=denial.args, rows=LookedAtRows(connection.raw, connection.tables),
    )  # fmt: skip
    if entity is not None and access is not None:
        question = _question(definition, entity, access)
    else:
        assert denial.policy is not None
        question = Question(schema=definition.schema, policy=denial.policy)
    sight = sight_of(definition, connection, denial.identity, entity, denial.now)
    return explain(question, scene, sight)


def _question(definition: AppDefinition, entity: Entity, access: Access) -> Question:
    """Return the question whether a row may be accessed."""
    policies = definition.policies
    return Question(
        schema=definition.schema, policy=policies.get(entity.name, access),
        read=policies.get(entity.name, Access.READ), entity=entity, access=access,
    )  # fmt: skip


def sight_of(
    definition: AppDefinition, connection: ReadConnection, viewer: Identity,
    entity: Entity | None, now: str,
) -> Sight:  # fmt: skip
    """Return what a caller may be shown: no private field, and of other rows those he reads whole.

    Of the row itself also no field that he can't ask by.
    """

    def may_see(name: str, row: Row) -> bool:
        policy = definition.policies.get(name, Access.READ)
        fields = definition.policies.fields_of(name)
        return policy.uncounted.holds(
            viewer, row, now, connection.exists
        ) and not fields.hidden_from(viewer, row, now, connection.exists)

    hidden: frozenset[str] = frozenset()
    if entity is not None:
        private = [one.name for one in entity.fields if one.private]
        hidden = unusable_fields(definition, viewer, entity).union(private)
    return Sight(hidden=hidden, hides_private=True, may_see=may_see)


def _who(connection: ReadConnection, name: str) -> tuple[Identity, bool]:
    """Return the identity of a user by e-mail or id, and whether the account is disabled."""
    if name == "anonymous":
        return ANONYMOUS, False
    if "@" in name:
        account = accounts.account_by_email(connection.rows, normalise_email(name))
    else:
        account = accounts.account_by_id(connection.rows, name)
    if account is None:
        listed = accounts.list_accounts(connection.rows)
        emails = [one.email for one in listed if one.email is not None]
        known = emails if "@" in name else [one.id for one in listed]
        by_name = {one.partition("@")[0]: one for one in emails}
        hint = nearest(name, known)
        if hint is None and name in by_name:
            hint = f"did you mean {by_name[name]}?"
        raise NotFound(f"there is no account {name}", hint=hint or "pylon users lists them")
    return identity_of(account), account.disabled


def _no_row(
    connection: ReadConnection, entity: Entity, asked: Asked, *, is_owner: bool
) -> NotFound:  # fmt: skip
    """Return what says that a row is not there, with the nearest id that is."""
    near = LookedAtRows(connection.raw, connection.tables).ids_near(entity.name, asked.row_id)
    hint = nearest(asked.row_id, near) or f"pylon query {entity.name} lists the rows"
    if is_owner and asked.access is Access.INSERT:
        hint = "for a row that is not there, say with --set what would be inserted"
    return NotFound(f"there is no {entity.name} {asked.row_id}", hint=hint)
