"""The generated check of plain inserts agrees with the judgement that finds the words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.errors import InvalidArgument
from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind
from pylon.schema.quick_insert import quick_insert
from pylon.schema.validate import validate_insert

NOW = "2026-11-24T12:00:00.000Z"
LITERAL = Default(kind=DefaultKind.LITERAL, value=3)
ENTITY = Entity(
    name="Thing",
    fields=(
        Field(name="name", kind=FieldKind.STR, min_length=1, max_length=5),
        Field(name="word", kind=FieldKind.TEXT, nullable=True, pattern="[a-z]+"),
        Field(name="count", kind=FieldKind.INT, min=0, max=9, default=LITERAL),
        Field(name="ratio", kind=FieldKind.FLOAT, nullable=True, max=1),
        Field(name="is_on", kind=FieldKind.BOOL, nullable=True),
        Field(name="kind", kind=FieldKind.ENUM, choices=("a", "b"), nullable=True),
        Field(name="friend", kind=FieldKind.REF, ref="Thing", nullable=True),
        Field(name="big", kind=FieldKind.BIGINT, nullable=True),
        Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
        Field(name="at", kind=FieldKind.DATETIME, default=Default(kind=DefaultKind.NOW)),
        Field(name="owner", kind=FieldKind.STR, default=Default(kind=DefaultKind.ACTOR)),
        Field(name="tags", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
        Field(name="extra", kind=FieldKind.JSON, nullable=True),
        Field(name="data", kind=FieldKind.BYTES, nullable=True),
    ),
)
VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from([2**53, 0.5, -0.0, 2.0, 1e300]),
    st.sampled_from([
        "a", "b", "abcde", "abcdef", "", "é", "x\0", "\ud800", "1", "12.50", NOW, "not a time",
        "2026-11-24T13:00:00+01:00", "aGk=", "a b", "-5",
    ]),
    st.sampled_from([[], ["a"], [1], {}, {"a": [1, None]}, ["\ud800"], float("nan")]),
)  # fmt: skip
NAMES = st.sampled_from([*(one.name for one in ENTITY.fields), "id", "_seq", "unknown"])
VALUES = st.builds(
    lambda some, more: {"name": "n", **some, **more},
    st.dictionaries(NAMES, VALUE, max_size=4),
    st.dictionaries(st.sampled_from(["id"]), st.sampled_from(["an-id", "no id"]), max_size=1),
)


def _judge(values: dict[str, Any], actor: str | None, *, is_quick: bool) -> Any:
    # Plans are kept on the entity; one of its own shows what the other way says.
    entity = Entity(name="Thing", fields=ENTITY.fields)
    try:
        if not is_quick:
            validate_insert(entity, {"name": "n"}, now=NOW, actor="u", new_id=lambda: "i")
            entity.__dict__["_insert_plan"].quick = lambda *_: None
        return validate_insert(entity, values, now=NOW, actor=actor, new_id=lambda: "minted")
    except InvalidArgument as error:
        return error.message, error.details


@settings(deadline=None, max_examples=400)
@given(values=VALUES, actor=st.sampled_from(["u1", None]))
def test_quick_and_careful_agree(values: dict[str, Any], actor: str | None) -> None:
    """Same row, in the same order of members, or same refusal, whatever comes."""
    quick = _judge(values, actor, is_quick=True)
    careful = _judge(values, actor, is_quick=False)
    assert repr(quick) == repr(careful)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "n"},
        {"name": "n", "count": 4, "ratio": 0.5, "kind": "a", "friend": "x", "extra": {"a": 1}},
        {"name": "ünï", "at": "2026-11-24T13:00:00+01:00", "big": "7", "price": "1.50"},
    ],
)
def test_plain_inserts_take_the_quick_way(values: dict[str, Any]) -> None:
    """What is plainly right needs no second look."""
    row = quick_insert(ENTITY)(values, "i", NOW, "u")
    assert row is not None
    assert list(row) == ["id", *(one.name for one in ENTITY.fields)]
