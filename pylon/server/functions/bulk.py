"""One change of many rows at once: what it would do, and the operations that do it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue, limits_data
from pylon.errors import InvalidArgument
from pylon.policy.mistakes import nearest
from pylon.schema.model import Entity
from pylon.schema.wire import whole_row
from pylon.server.functions.undoing import Step
from pylon.server.storage.change_log import read_of_row
from pylon.server.storage.data_pages import Referrers, referrers_of_many
from pylon.server.storage.readers import ReadConnection

_GROUP: Final = re.compile(r"[A-Za-z0-9_:-]{8,40}")
_PARTS_MAX: Final = 100_000
#: Ids that are not there any more, by name.
_MISSING_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """A change of rows of one entity: new values, or None to delete them."""

    entity: Entity
    ids: tuple[str, ...]
    values: Mapping[str, Any] | None

    @classmethod
    def of(cls, entity: Entity, body: Mapping[str, Any]) -> Bulk:
        """Return what was asked for; raises InvalidArgument."""
        ids, values = body.get("ids"), body.get("values")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or not ids:
            raise InvalidArgument("ids is a list of ids", field="ids")
        if len(ids) > limits_data.BULK_ROWS_MAX:
            raise InvalidArgument(
                f"at most {limits_data.BULK_ROWS_MAX} rows at once", field="ids",
                hint="send more in parts of one `group`",
            )  # fmt: skip
        is_delete = body.get("delete") is True
        if is_delete is (values is not None):
            raise InvalidArgument("either `values`, or `delete`: true", field="values")
        if values is not None:
            _demand_values(entity, values)
        return cls(entity=entity, ids=tuple(dict.fromkeys(ids)), values=values)

    def steps(self) -> list[Step]:
        """Return the operations, in the order of the ids."""
        about = {"entity": self.entity.name}
        if self.values is None:
            return [("pylon.delete", {**about, "id": one}) for one in self.ids]
        return [("pylon.update", {**about, "id": one, "values": self.values}) for one in self.ids]


def _demand_values(entity: Entity, values: Any) -> None:
    if not isinstance(values, dict) or not values:
        raise InvalidArgument("values is an object of fields", field="values")
    for name in values:
        if name not in entity.by_name:
            raise InvalidArgument(
                f"{entity.name} has no field {name[:64]}", field=name[:64],
                hint=nearest(name, entity.by_name),
            )  # fmt: skip


def op_ids_of(body: Mapping[str, Any], count: int) -> list[str] | None:
    """Return the operation ids of one part of a group, or None where there is no group.

    The same part sent again is done once. Raises InvalidArgument.
    """
    group, part = body.get("group"), body.get("part", 0)
    if group is None:
        return None
    if not isinstance(group, str) or _GROUP.fullmatch(group) is None:
        raise InvalidArgument("a group is 8-40 of A-Za-z0-9_:-", field="group")
    if type(part) is not int or not 0 <= part < _PARTS_MAX:
        raise InvalidArgument(f"a part is 0 to {_PARTS_MAX - 1}", field="part")
    return [f"{group}.{part:05}.{place:04}" for place in range(count)]


def gone_before(connection: ReadConnection, bulk: Bulk, body: Mapping[str, Any]) -> frozenset[str]:
    """Return the rows to delete that an earlier part of the same group took along, by a cascade."""
    group, part = body.get("group"), body.get("part", 0)
    if bulk.values is not None or not part:
        return frozenset()
    own = re.compile(rf"{re.escape(group or '')}\.(\d{{5}})\.\d{{4}}")

    def is_gone(row_id: str) -> bool:
        if connection.get(bulk.entity, row_id) is not None:
            return False
        last = read_of_row(connection.raw, bulk.entity.name, row_id, 0, 1, connection.schema)
        found = own.fullmatch(last[0].operation_id or "") if last else None
        return found is not None and last[0].kind == "delete" and int(found[1]) < part

    return frozenset(filter(is_gone, bulk.ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a change of many rows would do."""

    found: int
    missing: tuple[str, ...]
    fields: tuple[dict[str, Any], ...]
    referrers: list[Referrers]


def preview_of(connection: ReadConnection, bulk: Bulk) -> Preview:
    """Return how many rows there are, what their fields hold now, and what would go with them."""
    entity = bulk.entity
    rows, missing = [], []
    for one in bulk.ids:
        row = connection.get(entity, one)
        if row is None:
            missing.append(one)
        else:
            rows.append(whole_row(entity, row))
    fields = [_field(name, to, rows) for name, to in (bulk.values or {}).items()]
    referrers = referrers_of_many(connection, entity, bulk.ids) if bulk.values is None else []
    return Preview(
        found=len(rows), missing=tuple(missing), fields=tuple(fields), referrers=referrers
    )  # fmt: skip


def _field(name: str, to: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many rows hold which value of a field, and how many would change."""
    texts = Counter(jsonvalue.encode_text(row[name]) for row in rows)
    shown = texts.most_common(limits_data.BULK_VALUES_SHOWN)
    return {
        "name": name, "to": to, "changes": len(rows) - texts[jsonvalue.encode_text(to)],
        "from": [[_short(text), count] for text, count in shown],
        "others": len(rows) - sum(count for _, count in shown),
    }  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def missing_json(preview: Preview) -> dict[str, Any]:
    """Return what is not there any more: how many, and the first of them by id."""
    return {"missing": len(preview.missing), "missing_ids": preview.missing[:_MISSING_SHOWN]}
