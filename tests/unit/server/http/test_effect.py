"""A change in a few words, for who watches the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pylon.policy.ir import Slot, SlotKind
from pylon.policy.slices import Slice
from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind, Row
from pylon.server.http.effect import effect_words
from pylon.server.storage.change_log import LogRecord

NOTE = Entity(
    name="Note",
    fields=(
        Field(name="inId", kind=FieldKind.REF, ref="Note", nullable=True),
        Field(name="text", kind=FieldKind.TEXT),
        Field(name="count", kind=FieldKind.INT, default=Default(DefaultKind.LITERAL, 0)),
        Field(name="secret", kind=FieldKind.STR, private=True),
        Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
        Field(name="at", kind=FieldKind.DATETIME, default=Default(DefaultKind.NOW)),
    ),
)


def _row(**values: Any) -> Row:
    row = {"id": "n", "inId": None, "text": "hi", "count": 0, "secret": "s3cret", "price": None}
    return {**row, "at": "2026-11-23T12:00:00.000Z", **values, "_seq": 1}


def _record(before: Row | None, after: Row | None) -> LogRecord:
    return LogRecord(1, 1, 0, "Note", "n", "", before, after, None, None, None, None)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, _row(), 'text: "hi"'),
        (None, _row(inId="m", count=2), 'text: "hi", count: 2, inId: "m"'),
        (_row(), None, 'text: "hi"'),
        (_row(), _row(text="ho", price=150), 'text: "hi" → "ho", price: null → "1.50"'),
        (_row(), _row(secret="other"), ""),
        (None, None, ""),
    ],
)
def test_a_change_in_words(before: Row | None, after: Row | None, words: str) -> None:
    """What was written comes first; defaults, nulls and private fields are not told."""
    assert effect_words(NOTE, _record(before, after)) == words


def test_long_values_are_cut() -> None:
    """One line of a list never carries a book."""
    words = effect_words(NOTE, _record(_row(text="a" * 9_000), _row(text="b" * 9_000)))
    assert len(words) < 200
    assert "aaa" in words
    assert "bbb" in words


def test_an_image_from_before_a_reload_is_told() -> None:
    """A field that was added since the change is null in its image."""
    before = _row()
    del before["price"]
    assert effect_words(NOTE, _record(before, _row(text="ho"))) == 'text: "hi" → "ho"'


def test_a_slice_says_which_rows_and_how_many_callers() -> None:
    """By fields that clients have; for whom is a number, not a name."""
    user = Slot(SlotKind.USER_ID)

    def words(one: Slice) -> str:
        return effect_words(NOTE, replace(_record(None, None), slice=one))

    where = (("inId", "m"), ("secret", "s3cret"))
    assert words(Slice("Note", where, (((user, "u1"),),))) == 'rows with inId: "m", for 1 caller'
    assert words(Slice("Note", (), None)) == "all rows, for everybody"
