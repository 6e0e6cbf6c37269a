"""Cells of a table: what goes in comes out, for every kind of field."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.schema.cells import csv_lines, from_cell, to_cell
from pylon.schema.model import Field, FieldKind

#: What no field holds is no cell either: NUL, and halves of characters.
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_VALUES: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.STR: _TEXT | st.sampled_from(['"', '""', '"x', '"x"', " ", "null"]),
    FieldKind.INT: st.integers(-(2**53), 2**53),
    FieldKind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldKind.BOOL: st.booleans(),
    FieldKind.BIGINT: st.integers().map(str),
    FieldKind.LIST: st.lists(_JSON, max_size=3),
    FieldKind.OBJECT: st.dictionaries(_TEXT, _JSON, max_size=3),
}


@settings(max_examples=60)
@given(
    st.sampled_from(list(_VALUES)).flatmap(
        lambda kind: st.tuples(st.just(kind), _VALUES[kind] | st.none())
    )
)
def test_a_value_survives_its_cell(given: tuple[FieldKind, Any]) -> None:
    """Nulls, empty texts, quotation marks and JSON included."""
    kind, value = given
    field = Field(name="x", kind=kind, nullable=True)
    assert from_cell(field, to_cell(field, value)) == value


def test_cells_of_other_programs_are_taken_as_they_are() -> None:
    """A text that only looks quoted, an empty text, other words for true."""
    text = Field(name="x", kind=FieldKind.TEXT)
    assert from_cell(text, '"a" and "b"') == '"a" and "b"'
    assert from_cell(text, "") == ""
    truth = Field(name="x", kind=FieldKind.BOOL)
    assert [from_cell(truth, one) for one in ("TRUE", "0", "")] == [True, False, None]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [(FieldKind.BOOL, "yes"), (FieldKind.INT, "1.5"), (FieldKind.FLOAT, "x"),
     (FieldKind.LIST, "a,b"), (FieldKind.INT, "1_000"), (FieldKind.INT, "\u0663"),
     (FieldKind.FLOAT, "1_0.5")],
)  # fmt: skip
def test_a_cell_that_fits_no_value_says_what_it_should_be(kind: FieldKind, cell: str) -> None:
    """In words for the person who wrote the table."""
    with pytest.raises(ValueError, match="must be"):
        from_cell(Field(name="x", kind=kind), cell)


@settings(max_examples=60)
@given(st.lists(st.tuples(_TEXT | st.sampled_from(["\r", "a\rb", "\n", "\r\n", '"']), _TEXT)))
def test_a_cell_survives_its_line(rows: list[tuple[str, str]]) -> None:
    """Whatever ends lines elsewhere, a lone CR included."""
    lines = io.StringIO(csv_lines([("1", *row) for row in rows]), newline="")
    assert [tuple(cells) for cells in csv.reader(lines, strict=True)] == [
        ("1", *row) for row in rows
    ]
