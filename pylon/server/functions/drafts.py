"""Plain inserts worked out before their transaction, where nothing in it can change the answer.

A draft is the checked row of an insert that policies allow by the row, the caller and nothing
else. While one batch commits, the loop has time to make the drafts of the next. Whatever is not
plainly right gets no draft: the transaction judges it from the beginning and finds the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pylon.app.definition import AppDefinition
from pylon.identity import Identity, IdentityKind
from pylon.ids import is_id
from pylon.policy.compiled import CompiledPolicy, no_lookup
from pylon.policy.fields import NOTHING, FieldPolicies
from pylon.schema.model import Access, Entity, FieldKind, Row
from pylon.schema.quick_insert import QuickInsert
from pylon.schema.validate import quick_of
from pylon.server.functions.rowwrites import secret_fields

_ONLY_VALUES = {"entity", "values"}
_WITH_ID = {"entity", "values", "id"}


class InsertDraft(NamedTuple):
    """A row that its caller may insert, whether he may read it then, and all but which fields."""

    entity: Entity
    row: Row
    may_read: bool
    hidden: frozenset[str] = NOTHING


@dataclass(frozen=True, slots=True)
class _Rules:
    entity: Entity
    quick: QuickInsert
    insert: CompiledPolicy
    read: CompiledPolicy
    fields: FieldPolicies


class Drafter:
    """Makes the drafts of one caller under one definition of the app."""

    def __init__(
        self, definition: AppDefinition, identity: Identity, new_id: Callable[[], str]
    ) -> None:
        self.definition = definition
        self.identity = identity
        self._new_id = new_id
        self._rules: dict[str, _Rules | None] = {}

    def draft(self, args: Mapping[str, Any], now: str) -> InsertDraft | None:
        """Return the draft of `pylon.insert`, or None where the transaction must look."""
        if not (args.keys() == _ONLY_VALUES or args.keys() == _WITH_ID):
            return None
        name, values = args["entity"], args["values"]
        if type(name) is not str or type(values) is not dict or "id" in values:
            return None
        rules = self._rules[name] if name in self._rules else self._find(name)
        if rules is None:
            return None
        given = args.get("id")
        if given is not None and not is_id(given):
            return None
        identity = self.identity
        row = rules.quick(values, given or self._new_id(), now, identity.user_id)
        if row is None:
            return None
        if identity.is_system:
            return InsertDraft(rules.entity, row, may_read=True)
        if not rules.insert.holds(identity, row, now, no_lookup):
            return None
        may_read = rules.read.holds(identity, row, now, no_lookup)
        hidden = rules.fields.hidden_from(identity, row, now, no_lookup) if may_read else NOTHING
        return InsertDraft(rules.entity, row, may_read, hidden)

    def _find(self, name: str) -> _Rules | None:
        entity = self.definition.schema.entities.get(name)
        if entity is None:
            return None  # not remembered: names from outside are without number
        policies = self.definition.policies
        insert, read = policies.get(name, Access.INSERT), policies.get(name, Access.READ)
        fields = policies.fields_of(name)
        is_steady = not any(one.exists or one.uses_now for one in (insert, read, fields))
        # Whose a file is, is known inside the transaction only.
        is_steady &= not any(one.kind is FieldKind.FILE for one in entity.fields)
        # A conflict over a field that not all know of is told in the transaction's words.
        secret = secret_fields(self.definition, entity)
        is_steady &= not any(one.unique and secret & {*one.fields} for one in entity.indexes)
        is_known = self.identity.kind is not IdentityKind.ANONYMOUS
        found = None
        if is_steady and is_known:
            found = _Rules(entity, quick_of(entity), insert, read, fields)
        self._rules[name] = found
        return found
