"""What a change did to its row, in a few words: for people who watch the log pass by.

Only what clients may ever read is told: private fields are not.
"""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue
from pylon.policy.slices import Slice, is_told
from pylon.schema.model import DefaultKind, Entity, Field, FieldKind, Row
from pylon.schema.wire import wire_row
from pylon.server.storage.change_log import LogRecord

_VALUE_CHARS: Final = 60
_ALL_CHARS: Final = 200
#: Defaults that say nothing of this row: who and when stand beside it anyway.
_USUAL: Final = frozenset({DefaultKind.NOW, DefaultKind.ACTOR})


def effect_words(entity: Entity, record: LogRecord) -> str:
    """Return `body: "hi"` for an insert or delete, `body: "hi" → "ho"` for an update.

    Of a slice: which rows a policy changed its mind about, and for how many.
    """
    if record.slice is not None:
        return _slice_words(entity, record.slice)
    if record.before is not None and record.after is not None:
        parts = _changed(entity, record.before, record.after)
    else:
        row = record.after if record.after is not None else record.before
        parts = [] if row is None else _given(entity, row)
    words: list[str] = []
    size = 0
    for part in parts:
        size += len(part) + 2
        if words and size > _ALL_CHARS:
            words.append("…")
            break
        words.append(part)
    return ", ".join(words)


def _slice_words(entity: Entity, one: Slice) -> str:
    told = [f"{name}: {_value(value)}" for name, value in one.where if is_told(entity, name)]
    count = 0 if one.who is None else len(one.who)
    whose = "everybody" if one.who is None else f"{count} caller{'' if count == 1 else 's'}"
    return f"rows with {', '.join(told)}, for {whose}" if told else f"all rows, for {whose}"


def _changed(entity: Entity, before: Row, after: Row) -> list[str]:
    old, new = _whole(entity, before), _whole(entity, after)
    return [
        f"{one.name}: {_value(old[one.name])} → {_value(new[one.name])}"
        for one in entity.public_fields
        if old[one.name] != new[one.name]
    ]


def _given(entity: Entity, row: Row) -> list[str]:
    values = _whole(entity, row)
    told = [one for one in entity.public_fields if _tells(one, row.get(one.name))]
    # What a person wrote comes first; ids of other rows are read by few.
    told.sort(key=lambda one: one.kind is FieldKind.REF)
    return [f"{one.name}: {_value(values[one.name])}" for one in told]


def _whole(entity: Entity, row: Row) -> dict[str, Any]:
    """Return a row as JSON; what a reload has added since the change is null."""
    return wire_row(entity, {**dict.fromkeys(one.name for one in entity.fields), **row})


def _tells(field: Field, value: Any) -> bool:
    if value is None:
        return False
    default = field.default
    if default is None:
        return True
    return default.kind not in _USUAL and (
        default.kind is not DefaultKind.LITERAL or value != default.value
    )


def _value(value: Any) -> str:
    text = jsonvalue.encode_text(value[:_VALUE_CHARS] if isinstance(value, str) else value)
    return text if len(text) <= _VALUE_CHARS + 2 else f"{text[:_VALUE_CHARS]}…"
