"""pylon.insert, pylon.update, pylon.delete: mutations like the app's own.

Their arguments are checked here; what they do is `rowwrites`. The value is the row's wire text,
without the fields that the caller does not get, or `{"id","_seq"}` where he may not read the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pylon import jsonvalue
from pylon.errors import InvalidArgument
from pylon.schema.model import Entity, Row
from pylon.schema.wire import masked_text
from pylon.server.functions.rowwrites import RowWrites

#: (writes, args) -> JSON text of the value.
Builtin = Callable[[RowWrites, Mapping[str, Any]], str]


def _insert(writes: RowWrites, args: Mapping[str, Any]) -> str:
    entity = _entity(writes, args)
    _check(args, required=("entity", "values"), optional=("id",))
    row = writes.insert(entity, _values(args), args.get("id"))
    return _value_of(writes, entity, row)


def _update(writes: RowWrites, args: Mapping[str, Any]) -> str:
    entity = _entity(writes, args)
    before = _row(writes, entity, args)
    _check(args, required=("entity", "id", "values"), optional=("if_seq",))
    row = writes.update(entity, before, _values(args), _if_seq(args))
    return _value_of(writes, entity, row)


def _delete(writes: RowWrites, args: Mapping[str, Any]) -> str:
    entity = _entity(writes, args)
    if _went_before(writes, entity, args):
        return "null"
    before = _row(writes, entity, args)
    _check(args, required=("entity", "id"), optional=("if_seq",))
    writes.delete(entity, before, _if_seq(args))
    return "null"


def _went_before(writes: RowWrites, entity: Entity, args: Mapping[str, Any]) -> bool:
    """Tell whether an operation before this one, of one batch, has deleted the row already.

    By a cascade, that is. Only the owner is told so: another would learn of rows he can't read.
    """
    transaction, row_id = writes.transaction, args.get("id")
    if not (transaction.is_joined and writes.identity.is_system and isinstance(row_id, str)):
        return False
    return transaction.get(entity, row_id) is None and any(
        one.kind == "delete" and (one.entity, one.row_id) == (entity.name, row_id)
        for one in transaction.records
    )


def _entity(writes: RowWrites, args: Mapping[str, Any]) -> Entity:
    """Return the entity; who may not write and what is not there is said before all else."""
    writes.demand_signed_in()
    if "entity" not in args:
        raise InvalidArgument("entity is required", field="entity")
    return writes.entity(args["entity"])


def _row(writes: RowWrites, entity: Entity, args: Mapping[str, Any]) -> Row:
    if "id" not in args:
        raise InvalidArgument("id is required", field="id")
    return writes.readable(entity, args["id"])


BUILTINS: Final[Mapping[str, Builtin]] = {
    "pylon.insert": _insert,
    "pylon.update": _update,
    "pylon.delete": _delete,
}


def _value_of(writes: RowWrites, entity: Entity, row: Row) -> str:
    if writes.may_read(entity, row):
        hidden = writes.hidden_fields(entity, row)
        if hidden:
            return masked_text(entity, row, hidden)
        wire = writes.transaction.records[-1].wire
        assert wire is not None
        return wire
    return jsonvalue.encode_text({"id": row["id"], "_seq": row["_seq"]})


def _check(
    args: Mapping[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    if len(args) == len(required) and all(map(args.__contains__, required)):
        return
    for name in required:
        if name not in args:
            raise InvalidArgument(f"{name} is required", field=name)
    if len(args) > len(required):
        for name in args:
            if name not in required and name not in optional:
                raise InvalidArgument(f"there is no argument {name}", field=name)


def _values(args: Mapping[str, Any]) -> Mapping[str, Any]:
    values = args["values"]
    if not isinstance(values, dict):
        raise InvalidArgument("values is an object of fields", field="values")
    return values


def _if_seq(args: Mapping[str, Any]) -> int | None:
    value = args.get("if_seq")
    if value is not None and (type(value) is not int or value < 0):
        raise InvalidArgument("if_seq is a sequence number", field="if_seq")
    return value
