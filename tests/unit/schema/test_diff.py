"""From one schema to the next."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pylon.schema.diff import Safety, StepKind, diff, is_same_wire
from pylon.schema.fingerprint import fingerprint, schema_from_json, schema_to_json
from pylon.schema.model import (
    Default,
    DefaultKind,
    Entity,
    Field,
    FieldKind,
    Index,
    OnDelete,
    Schema,
)


def _schema(*fields: Field, indexes: tuple[Index, ...] = (), **more: Entity) -> Schema:
    return Schema(entities={"E": Entity(name="E", fields=fields, indexes=indexes), **more})


def _field(name: str = "a", kind: FieldKind = FieldKind.STR, **rest: Any) -> Field:
    return Field(name=name, kind=kind, **rest)


def _steps(old: Schema, new: Schema) -> list[tuple[StepKind, Safety]]:
    return [(step.kind, step.safety) for step in diff(old, new)]


def test_equal_schemas_need_nothing() -> None:
    """A schema and itself have no steps between them."""
    schema = _schema(_field(), indexes=(Index(name="by_a", fields=("a",)),))
    assert diff(schema, schema) == ()


def test_entities_come_and_go() -> None:
    """A new entity is additive; a dropped one is lossy."""
    one = _schema(_field())
    assert _steps(Schema(entities={}), one) == [(StepKind.CREATE_TABLE, Safety.ADDITIVE)]
    assert _steps(one, Schema(entities={})) == [(StepKind.DROP_TABLE, Safety.LOSSY)]


LITERAL = Default(DefaultKind.LITERAL, "x")
NOW = Default(DefaultKind.NOW)
ACTOR = Default(DefaultKind.ACTOR)


@pytest.mark.parametrize(
    ("field", "safety"),
    [
        (_field("b", nullable=True), Safety.ADDITIVE),
        (_field("b", default=LITERAL), Safety.ADDITIVE),
        (_field("b", FieldKind.DATETIME, default=NOW), Safety.ADDITIVE),
        (_field("b"), Safety.CHECKED),
        (_field("b", default=ACTOR), Safety.CHECKED),
    ],
)
def test_a_new_field_is_additive_where_live_rows_can_be_filled(
    field: Field, safety: Safety
) -> None:
    """Rows that are there need a value; who wrote them is not known any more."""
    steps = _steps(_schema(_field()), _schema(_field(), field))
    assert steps == [(StepKind.ADD_FIELD, safety)]


def test_a_rename_is_declared_and_never_guessed() -> None:
    """Without renamed_from it is a drop and an addition."""
    old = _schema(_field("a"))
    renamed = _steps(old, _schema(_field("b", renamed_from="a")))
    assert renamed == [(StepKind.RENAME_FIELD, Safety.ADDITIVE)]
    unsaid = _steps(old, _schema(_field("b", nullable=True)))
    assert unsaid == [
        (StepKind.ADD_FIELD, Safety.ADDITIVE),
        (StepKind.DROP_FIELD, Safety.LOSSY),
    ]


def test_an_old_renamed_from_does_nothing() -> None:
    """renamed_from may stay in the app after the rename was carried out."""
    field = _field("b", renamed_from="a")
    assert diff(_schema(field), _schema(field)) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (_field(kind=FieldKind.STR), _field(kind=FieldKind.INT), [Safety.LOSSY]),
        (_field(kind=FieldKind.STR), _field(kind=FieldKind.TEXT), [Safety.CHECKED]),
        (_field(kind=FieldKind.INT), _field(kind=FieldKind.BIGINT), [Safety.CHECKED]),
        (_field(kind=FieldKind.BIGINT), _field(kind=FieldKind.INT), [Safety.LOSSY]),
        (_field(kind=FieldKind.OBJECT), _field(kind=FieldKind.JSON), [Safety.CHECKED]),
        (
            _field(kind=FieldKind.DECIMAL, scale=2),
            _field(kind=FieldKind.DECIMAL, scale=3),
            [Safety.LOSSY],
        ),
        (_field(nullable=True), _field(), [Safety.CHECKED]),
        (_field(), _field(nullable=True), [Safety.ADDITIVE]),
        (_field(), _field(private=True), [Safety.ADDITIVE]),
        (_field(kind=FieldKind.INT, max=9), _field(max_length=5), [Safety.LOSSY]),
    ],
)
def test_a_changed_field_is_as_safe_as_what_it_does_to_values(
    old: Field, new: Field, expected: list[Safety]
) -> None:
    """Other forms lose data, narrower rules are checked, wider ones are additive."""
    assert [step.safety for step in diff(_schema(old), _schema(new))] == expected


BOUNDS = [
    # kind, narrow, wide: also as another way to write the same
    (FieldKind.INT, {"min": 2}, {"min": 1}),
    (FieldKind.FLOAT, {"max": 0.5}, {"max": 1}),
    (FieldKind.BIGINT, {"max": 2**70}, {"max": 2**70 + 1}),
    (FieldKind.DECIMAL, {"min": Decimal("-0.10")}, {"min": Decimal("-0.2")}),
    (FieldKind.STR, {"min_length": 1}, {"min_length": 0}),
    (FieldKind.LIST, {"max_length": 0}, {"max_length": 3}),
    (FieldKind.BYTES, {"max_length": 2}, {}),
    (FieldKind.TEXT, {"pattern": "x*"}, {}),
]


@pytest.mark.parametrize(("kind", "narrow", "wide"), BOUNDS)
def test_a_tighter_bound_is_checked_and_a_wider_one_remembered(
    kind: FieldKind, narrow: dict[str, Any], wide: dict[str, Any]
) -> None:
    """Rows were accepted under other bounds; a wider one is a step, or its return were none."""
    small, large = _schema(_field(kind=kind, **narrow)), _schema(_field(kind=kind, **wide))
    assert _steps(large, small) == [(StepKind.CHANGE_RULE, Safety.CHECKED)]
    assert _steps(small, large) == [(StepKind.CHANGE_RULE, Safety.ADDITIVE)]
    for schema in (small, large):
        assert diff(schema_from_json(schema_to_json(schema)), schema) == ()
    renamed = _schema(Field(name="b", kind=kind, renamed_from="a", **narrow))
    assert [step.bound for step in diff(large, renamed)] == [None, *narrow]


def test_a_bound_may_be_written_in_another_way() -> None:
    """What refuses the same values is no change; another pattern may refuse any."""
    for kind, one, other in (
        (FieldKind.INT, {"min": 1}, {"min": 1.0}),
        (FieldKind.DECIMAL, {"max": Decimal("1.50")}, {"max": 1.5}),
        (FieldKind.STR, {}, {"min_length": 0}),
    ):
        assert diff(_schema(_field(kind=kind, **one)), _schema(_field(kind=kind, **other))) == ()
    steps = _steps(_schema(_field(pattern="a+")), _schema(_field(pattern="a*")))
    assert steps == [(StepKind.CHANGE_RULE, Safety.CHECKED)]


def test_a_bound_that_was_never_remembered_is_a_new_one() -> None:
    """A database of before bounds were remembered: its rows are looked at once."""
    stored = schema_to_json(_schema(_field(max_length=3)))
    del stored["E"]["fields"][0]["bounds"]
    (step,) = diff(schema_from_json(stored), _schema(_field(max_length=3)))
    assert step.safety is Safety.CHECKED
    assert step.description == "E.a has max_length=3 (had none)"


def test_clients_read_other_items_in_a_list_of_another_kind() -> None:
    """What became of an item they cannot work out, so their copies are wrong."""
    texts, more, numbers = (
        _field(kind=FieldKind.LIST, item=item, nullable=nullable)
        for item, nullable in (
            (FieldKind.STR, False), (FieldKind.STR, True), (FieldKind.INT, False)
        )
    )  # fmt: skip
    assert is_same_wire(texts, more)
    assert not is_same_wire(texts, numbers)


def test_choices_are_remembered_when_they_grow() -> None:
    """A gained choice is a step, or a later loss of it could not be noticed."""
    small = _schema(_field(kind=FieldKind.ENUM, choices=("x",)))
    large = _schema(_field(kind=FieldKind.ENUM, choices=("x", "y")))
    assert _steps(small, large) == [(StepKind.CHANGE_RULE, Safety.ADDITIVE)]
    assert _steps(large, small) == [(StepKind.CHANGE_RULE, Safety.CHECKED)]


def test_a_changed_reference_is_checked() -> None:
    """Ids of one entity are rarely ids of another."""
    old = _schema(_field(kind=FieldKind.REF, ref="A"))
    new = _schema(_field(kind=FieldKind.REF, ref="B"))
    assert _steps(old, new) == [(StepKind.CHANGE_RULE, Safety.CHECKED)]
    rule = _schema(_field(kind=FieldKind.REF, ref="A", on_delete=OnDelete.CASCADE))
    assert _steps(old, rule) == [(StepKind.CHANGE_RULE, Safety.ADDITIVE)]


def test_unique_indexes_are_checked_against_live_rows() -> None:
    """An index that turns unique is dropped and made again, if the rows allow it."""
    plain = _schema(_field(), indexes=(Index(name="by_a", fields=("a",)),))
    unique = _schema(_field(), indexes=(Index(name="by_a", fields=("a",), unique=True),))
    assert _steps(plain, unique) == [
        (StepKind.DROP_INDEX, Safety.ADDITIVE),
        (StepKind.CREATE_INDEX, Safety.CHECKED),
    ]


def test_a_renamed_index_is_made_again() -> None:
    """Names of indexes are seen in conflicts, so they are kept right."""
    old = _schema(_field(), indexes=(Index(name="by_a", fields=("a",)),))
    new = _schema(_field(), indexes=(Index(name="sorted", fields=("a",)),))
    assert [kind for kind, _ in _steps(old, new)] == [StepKind.DROP_INDEX, StepKind.CREATE_INDEX]


def test_the_remembered_schema_is_the_schema() -> None:
    """What the database remembers of a schema has no steps to it and the same fingerprint."""
    schema = _schema(
        _field("a", FieldKind.DECIMAL, scale=2, nullable=True),
        _field("b", FieldKind.LIST, item=FieldKind.INT, private=True),
        _field("c", FieldKind.REF, ref="E", on_delete=OnDelete.CASCADE),
        _field("d", FieldKind.ENUM, choices=("x", "y"), default=Default(DefaultKind.LITERAL, "x")),
        indexes=(Index(name="by", fields=("a", "b"), unique=True),),
    )
    remembered = schema_from_json(schema_to_json(schema))
    assert diff(remembered, schema) == ()
    assert fingerprint(remembered) == fingerprint(schema)


def test_the_fingerprint_moves_with_the_form_and_not_with_the_words() -> None:
    """Documentation is no part of it; bounds are, because rows are held to changed ones."""
    plain = _schema(_field())
    assert fingerprint(plain) == fingerprint(_schema(_field(doc="words")))
    assert fingerprint(plain) != fingerprint(_schema(_field(max_length=3)))
    assert fingerprint(plain) != fingerprint(_schema(_field(nullable=True)))
