"""Rows to text and back."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.schema.model import Entity, Field, FieldKind, Row
from pylon.schema.validate import validate_insert
from pylon.schema.wire import image_text, is_wire_image, row_from_image, wire_row, wire_text
from tests.unit.schema.test_fieldtypes import WIRE, field


def _field(kind: FieldKind, **rest: Any) -> Field:
    one = field(kind)
    return Field(**{**vars(one), "name": f"f_{kind.value}", "nullable": True, **rest})


ENTITY = Entity(
    name="E",
    fields=(
        *(_field(kind) for kind in FieldKind),
        Field(name="secret", kind=FieldKind.STR, private=True, nullable=True),
        Field(name="key", kind=FieldKind.BYTES, private=True, nullable=True),
    ),
)
_VALUES = st.fixed_dictionaries(
    {},
    optional={
        **{f"f_{kind.value}": st.none() | values for kind, values in WIRE.items()},
        "secret": WIRE[FieldKind.STR],
        "key": WIRE[FieldKind.BYTES],
    },
)


def _row(values: dict[str, Any]) -> Row:
    now = "2026-11-23T12:00:00.000Z"
    row = validate_insert(ENTITY, values, now=now, actor=None, new_id=lambda: "i")
    return {**row, "_seq": 9}


@given(_VALUES)
def test_a_row_comes_back_from_the_wire(values: dict[str, Any]) -> None:
    """What a client reads and sends again is the same row; nothing is bent on the way."""
    row = _row(values)
    read = jsonvalue.parse(wire_text(ENTITY, row).encode())
    assert list(read) == ["id", *(f"f_{kind.value}" for kind in FieldKind), "_seq"]
    sent = {name: value for name, value in read.items() if name != "_seq"}
    again = _row({**sent, **{name: values.get(name) for name in ("secret", "key")}})
    assert again == row


@given(_VALUES)
def test_a_row_comes_back_from_its_image(values: dict[str, Any]) -> None:
    """The log's image holds every field, private ones too, exactly."""
    row = _row(values)
    before = dict(row)
    assert row_from_image(ENTITY, image_text(ENTITY, row)) == row
    assert row == before


@given(_VALUES.filter(lambda values: "secret" in values))
def test_private_fields_never_reach_the_wire(values: dict[str, Any]) -> None:
    """Neither their values nor their names are in what clients read."""
    row = {**_row(values), "secret": "canary-81"}
    assert "canary" not in wire_text(ENTITY, row)
    assert not {"secret", "key"} & set(wire_row(ENTITY, row))
    assert "canary" in image_text(ENTITY, row)


def test_numbers_travel_as_the_protocol_says() -> None:
    """BigInt and Decimal are texts, bytes base64, in order of declaration, without spaces."""
    entity = Entity(
        name="E",
        fields=(
            Field(name="b", kind=FieldKind.BIGINT), Field(name="a", kind=FieldKind.DECIMAL,
                                                          scale=2),
            Field(name="raw", kind=FieldKind.BYTES),
        ),
    )  # fmt: skip
    row = {"id": "i", "b": 2**60, "a": -5, "raw": b"\0\1", "_seq": 3}
    assert wire_text(entity, row) == (
        '{"id":"i","b":"1152921504606846976","a":"-0.05","raw":"AAE=","_seq":3}'
    )
    assert base64.b64decode(wire_row(entity, row)["raw"]) == b"\0\1"


def test_plain_entities_need_no_second_text() -> None:
    """Where nothing is private or converted, the wire text is the image."""
    plain = Entity(name="E", fields=(Field(name="a", kind=FieldKind.STR),))
    row = {"id": "i", "a": "x", "_seq": 1}
    assert is_wire_image(plain)
    assert wire_text(plain, row) == image_text(plain, row)
    assert not is_wire_image(ENTITY)


def test_old_images_are_read_with_todays_fields() -> None:
    """A renamed field is found under its older name, an added one is absent."""
    entity = Entity(
        name="E",
        fields=(
            Field(name="body", kind=FieldKind.STR, renamed_from="text"),
            Field(name="new", kind=FieldKind.STR, nullable=True),
        ),
    )
    row = row_from_image(entity, '{"id":"i","text":"a","_seq":1}')
    assert (row["body"], row["new"]) == ("a", None)
    row = row_from_image(entity, '{"id":"i","text":"a","body":"b","new":"c","_seq":1}')
    assert (row["body"], row["new"]) == ("b", "c")
