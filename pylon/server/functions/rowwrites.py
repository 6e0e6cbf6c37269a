"""Insert, update and delete of one row by one identity: the order of judgement, in one place.

401, then 404, then INVALID_*, then POLICY_DENIED, then CONFLICT (PROTOCOL "Errors"). The built-in
mutations and `ctx.db` both come here, so that there is one way to write.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pylon.app.definition import AppDefinition
from pylon.app.fields import Inc
from pylon.errors import Conflict, InvalidArgument, NotFound
from pylon.identity import Identity
from pylon.policy.mistakes import nearest
from pylon.schema.fieldtypes import incremented
from pylon.schema.model import Access, Entity, FieldKind, Row
from pylon.schema.validate import validate_insert, validate_patch
from pylon.server.functions.authorize import (
    Denial,
    demand,
    demand_signed_in,
    hidden_fields,
    judge_another,
    may_read,
)
from pylon.server.functions.file_rights import resolve_files, rights_in
from pylon.server.storage.transaction import Transaction, unique_conflict

_COUNTABLE = (FieldKind.INT, FieldKind.BIGINT, FieldKind.FLOAT, FieldKind.DECIMAL)


@dataclass(slots=True)
class RowWrites:
    """The writes of one operation; `is_app` values come from the app's own code."""

    definition: AppDefinition
    identity: Identity
    transaction: Transaction
    new_id: Callable[[], str]
    is_app: bool = False

    def entity(self, name: Any) -> Entity:
        """Return an entity by name; raises NotFound."""
        entities = self.definition.schema.entities
        entity = entities.get(name) if isinstance(name, str) else None
        if entity is None:
            raise NotFound(f"there is no entity {name}", hint=nearest(str(name), entities))
        return entity

    def insert(self, entity: Entity, values: Mapping[str, Any], row_id: str | None = None) -> Row:
        """Insert a row and return it as stored."""
        self.demand_signed_in()
        row = validate_insert(
            entity, values, now=self.transaction.now, actor=self.identity.user_id,
            new_id=self.new_id, row_id=row_id, is_app=self.is_app,
        )  # fmt: skip
        self._resolve_files(entity, values, row, None)
        demand(
            self.definition, self.identity, entity, Access.INSERT, row, self.transaction.now,
            self.transaction,
        )  # fmt: skip
        with self._telling_conflicts(entity, values):
            return self.transaction.insert(entity, row)

    def update(
        self, entity: Entity, before: Row, values: Mapping[str, Any], if_seq: int | None = None
    ) -> Row:
        """Update a `readable` row; return it as stored. What changes nothing is stored too."""
        values, increments = self._split(entity, values)
        patch = validate_patch(entity, values, is_app=self.is_app)
        after = {**before, **patch}
        self._resolve_files(entity, values, after, before)
        for name, amount in increments.items():
            after[name] = incremented(entity.by_name[name], before[name], amount)
        demand(
            self.definition, self.identity, entity, Access.UPDATE, before, self.transaction.now,
            self.transaction, after=after,
        )  # fmt: skip
        _demand_seq(before, if_seq)
        with self._telling_conflicts(entity, {*patch, *increments}):
            return self.transaction.update(entity, before, after)

    def delete(self, entity: Entity, before: Row, if_seq: int | None = None) -> None:
        """Delete a `readable` row."""
        demand(
            self.definition, self.identity, entity, Access.DELETE, before, self.transaction.now,
            self.transaction,
        )  # fmt: skip
        _demand_seq(before, if_seq)
        self.transaction.delete(entity, before)

    def _resolve_files(
        self, entity: Entity, given: Mapping[str, Any], row: Row, before: Row | None
    ) -> None:
        names = self.transaction.tables[entity.name].files
        if names:
            rights = rights_in(self.definition, self.identity, self.transaction)
            resolve_files(rights, names, given, row, before)

    @contextmanager
    def _telling_conflicts(self, entity: Entity, given: Container[str]) -> Iterator[None]:
        """Have a conflict name the caller's own fields, and none that he is not to know of."""
        try:
            yield
        except Conflict as conflict:
            fields = conflict.details.get("fields")
            if fields is None or self.identity.is_system or fields == ["id"]:
                raise
            secret = secret_fields(self.definition, entity)
            told = [one for one in fields if one in given or one not in secret]
            if told == fields:
                raise
            if not told:
                raise Conflict(f"the write conflicts with another {entity.name}") from conflict
            index = conflict.details["index"]
            raise unique_conflict(entity, index, told) from conflict

    def may_read(self, entity: Entity, row: Row) -> bool:
        """Tell whether the caller may read a row."""
        return may_read(
            self.definition, self.identity, entity, row, self.transaction.now, self.transaction
        )

    def hidden_fields(self, entity: Entity, row: Row) -> frozenset[str]:
        """Return the fields of a readable row that the caller does not get."""
        return hidden_fields(
            self.definition, self.identity, entity, row, self.transaction.now, self.transaction
        )

    def demand_signed_in(self) -> None:
        """Raise Unauthenticated for an anonymous caller: he writes nothing."""
        if not self.identity.is_system:
            demand_signed_in(self.identity)

    def readable(self, entity: Entity, row_id: Any) -> Row:
        """Return a row that the caller may read; raises Unauthenticated and NotFound."""
        self.demand_signed_in()
        if not isinstance(row_id, str):
            raise NotFound()
        row = self.transaction.get(entity, row_id)
        if row is None:
            judge_another(
                self.definition, self.identity, entity, row_id, self.transaction.now,
                self.transaction,
            )  # fmt: skip
            raise NotFound()
        if not self.may_read(entity, row):
            hidden = NotFound()
            hidden.denial = Denial(
                definition=self.definition, identity=self.identity, now=self.transaction.now,
                entity=entity, access=Access.READ, row=row,
            )  # fmt: skip
            raise hidden
        return row

    def _split(
        self, entity: Entity, values: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        increments = {name: value for name, value in values.items() if isinstance(value, Inc)}
        if not increments:
            return values, {}
        for name in increments:
            field = entity.by_name.get(name)
            if field is None or field.kind not in _COUNTABLE or field.immutable:
                raise InvalidArgument(f"{name} can't be incremented", field=name)
        rest = {name: value for name, value in values.items() if name not in increments}
        return rest, {name: value.amount for name, value in increments.items()}


def secret_fields(definition: AppDefinition, entity: Entity) -> frozenset[str]:
    """Return the fields that some callers are not to know of, or not to read."""
    guarded = definition.policies.fields_of(entity.name).policies
    return frozenset([one.name for one in entity.fields if one.private or one.name in guarded])


def _demand_seq(row: Row, if_seq: int | None) -> None:
    if if_seq is not None and row["_seq"] != if_seq:
        raise Conflict(
            "the row has changed since then", hint="read it again and decide anew",
            seq=row["_seq"],
        )  # fmt: skip
