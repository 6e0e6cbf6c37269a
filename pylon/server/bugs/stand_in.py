"""An app.py made of a report's schema alone: to look at its rows without running anybody's code.

It has the entities, their fields and indexes, and no policies: what is closed is closed. Every name
was held to a form before (`replaying`), and every text stands as a literal of Python.
"""

from __future__ import annotations

from typing import Any, Final

from pylon.schema.constraints import BOUNDS
from pylon.schema.model import Entity, Field, FieldKind, OnDelete, Schema

_TYPES: Final = {
    FieldKind.STR: "str", FieldKind.TEXT: "Text", FieldKind.INT: "int", FieldKind.BIGINT: "BigInt",
    FieldKind.FLOAT: "float", FieldKind.DECIMAL: "Decimal", FieldKind.BOOL: "bool",
    FieldKind.DATETIME: "datetime", FieldKind.DATE: "date", FieldKind.OBJECT: "dict",
    FieldKind.JSON: "Json", FieldKind.BYTES: "bytes", FieldKind.FILE: "File",
}  # fmt: skip
_HEAD: Final = '''"""Made by `pylon bug replay` of a schema alone: no code of the report is here."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pylon import App, BigInt, Entity, File, Json, Ref, Text, field, index, unique

app = App("replayed")
'''


def stand_in_app(schema: Schema) -> str:
    """Return the text of an app.py."""
    return _HEAD + "".join(_entity(one) for one in schema.entities.values())


def _entity(entity: Entity) -> str:
    by_name = {one.name: one for one in entity.indexes}
    own = {one.name for one in entity.fields}
    lines = []
    for field in entity.fields:
        words = _keywords(field)
        if field.name in by_name:
            words.append("unique=True" if by_name[field.name].unique else "index=True")
        default = f" = field({', '.join(words)})" if words else ""
        lines.append(f"    {field.name}: {_type(field)}{default}")
    for one in entity.indexes:
        if one.name not in own:
            named = ", ".join(repr(name) for name in one.fields)
            lines.append(f"    {one.name} = {'unique' if one.unique else 'index'}({named})")
    body = "\n".join(lines) or "    pass"
    return f"\n\n@app.entity()\nclass {entity.name}(Entity):\n{body}\n"


def _type(one: Field) -> str:
    match one.kind:
        case FieldKind.ENUM:
            made = f"Literal[{', '.join(repr(choice) for choice in one.choices)}]"
        case FieldKind.REF:
            made = f"Ref[{one.ref!r}]"
        case FieldKind.LIST:
            made = "list" if one.item is None else f"list[{_TYPES.get(one.item, 'str')}]"
        case _:
            made = _TYPES[one.kind]
    return f"{made} | None" if one.nullable else made


def _keywords(one: Field) -> list[str]:
    found: dict[str, Any] = {
        name: getattr(one, name) for name in BOUNDS
        if name != "pattern" and getattr(one, name) is not None
    }  # fmt: skip
    if one.private:
        found["private"] = True
    if one.search:
        found["search"] = True
    if one.kind is FieldKind.DECIMAL:
        found["scale"] = one.scale
    if one.kind is FieldKind.REF and one.on_delete is not OnDelete.RESTRICT:
        found["on_delete"] = one.on_delete.value
    return [f"{name}={value!r}" for name, value in found.items()]
