"""Rows to text and back: the one encoder of what clients read and of what the log keeps.

The *wire text* of a row is a compact JSON object of `id`, the public fields in order of
declaration, and `_seq`; it is stored beside the row. The *image* holds every field, private ones
too, as values: what policies are asked over when a row is gone. Bytes stand in images as base64.
"""

from __future__ import annotations

import base64
from typing import Any

from pylon import jsonvalue
from pylon.schema.fieldtypes import FIELD_TYPES
from pylon.schema.model import Entity, FieldKind, Row

#: Kinds whose wire form differs from the value.
_CONVERTED = frozenset({FieldKind.BIGINT, FieldKind.DECIMAL, FieldKind.BYTES})


class WirePlan:
    """How the rows of one entity become text; made once per entity (`Entity.wire_plan`)."""

    __slots__ = ("_bytes_names", "_converted", "is_image", "names", "wire_names")

    def __init__(self, entity: Entity) -> None:
        public = entity.public_fields
        self.names = frozenset(one.name for one in entity.fields)
        self.wire_names = ("id", *(one.name for one in public), "_seq")
        self._converted = tuple(
            (one.name, one, FIELD_TYPES[one.kind].to_wire)
            for one in public
            if one.kind in _CONVERTED
        )
        self._bytes_names = tuple(one.name for one in entity.fields if one.kind is FieldKind.BYTES)
        #: Nothing is private and nothing converted: the wire text says what the image would.
        self.is_image = len(public) == len(entity.fields) and not self._converted

    def row(self, row: Row) -> dict[str, Any]:
        """Return the JSON object of a row as clients read it."""
        wire = {name: row[name] for name in self.wire_names}
        for name, field, convert in self._converted:
            if wire[name] is not None:
                wire[name] = convert(field, wire[name])
        return wire

    def image(self, row: Row) -> dict[str, Any]:
        """Return a row as JSON values, bytes as base64."""
        if not self._bytes_names:
            return row
        image = dict(row)
        for name in self._bytes_names:
            if image[name] is not None:
                image[name] = base64.b64encode(image[name]).decode()
        return image

    def from_image(self, image: dict[str, Any]) -> Row:
        """Return the row of an image; a field that the image does not have yet is absent."""
        for name in self._bytes_names:
            if image.get(name) is not None:
                image[name] = base64.b64decode(image[name])
        return image


def _plan(entity: Entity) -> WirePlan:
    # An entity is made once per definition and never changes, so its plan is kept on it.
    plan: WirePlan | None = entity.__dict__.get("_wire_plan")
    if plan is None:
        plan = entity.__dict__["_wire_plan"] = WirePlan(entity)
    return plan


def wire_row(entity: Entity, row: Row) -> dict[str, Any]:
    """Return the JSON object of a row as clients read it."""
    return _plan(entity).row(row)


def whole_row(entity: Entity, row: Row) -> dict[str, Any]:
    """Return the JSON object of a row with its private fields: for the owner alone.

    Its values are what an insert takes.
    """
    whole: dict[str, Any] = {"id": row["id"]}
    for field in entity.fields:
        value = row[field.name]
        whole[field.name] = None if value is None else FIELD_TYPES[field.kind].to_wire(field, value)
    whole["_seq"] = row["_seq"]
    return whole


def wire_text(entity: Entity, row: Row) -> str:
    """Return the wire text of a row."""
    plan = _plan(entity)
    # Rows hold their members in the wire's order; where all of them leave, they leave as they are.
    is_ready = plan.is_image and len(row) == len(plan.wire_names)
    return jsonvalue.encode_text(row if is_ready else plan.row(row))


def masked_text(entity: Entity, row: Row, hidden: frozenset[str]) -> str:
    """Return the wire text of a row without the fields that its reader does not get."""
    wire = _plan(entity).row(row)
    return jsonvalue.encode_text({name: wire[name] for name in wire if name not in hidden})


def is_wire_image(entity: Entity) -> bool:
    """Tell whether the wire text of a row is its image too."""
    return _plan(entity).is_image


def is_wire_part(entity: Entity) -> bool:
    """Tell whether the wire text of a row is its image without some members."""
    return all(one.private or one.kind not in _CONVERTED for one in entity.fields)


def image_text(entity: Entity, row: Row) -> str:
    """Return the text of a row's image."""
    return jsonvalue.encode_text(_plan(entity).image(row))


def row_from_image(entity: Entity, text: str) -> Row:
    """Return the row of an image; fields renamed since then moved, fields added are null."""
    image: dict[str, Any] = jsonvalue.decode_trusted(text)
    plan = _plan(entity)
    if not plan.names <= image.keys():
        for field in entity.fields:
            if field.name not in image:
                # An older name serves until a field of that name exists again.
                image[field.name] = image.get(field.renamed_from or "")
    return plan.from_image(image)
