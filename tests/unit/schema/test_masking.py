"""Rows that may be shown on: what stays, what is replaced, and what can't be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.errors import InvalidArgument, NotFound
from pylon.schema.constraints import constraint_of
from pylon.schema.masking import NO_BYTES, Masking, is_hidden
from pylon.schema.model import Entity, Field, FieldKind, Row, Schema
from pylon.schema.pseudonyms import Pseudonyms

K = FieldKind
THING = Entity(
    name="Thing",
    fields=(
        Field(name="text", kind=K.STR), Field(name="long", kind=K.TEXT, private=True),
        Field(name="count", kind=K.INT),
        Field(name="cost", kind=K.INT, private=True, min=0, max=50),
        Field(name="price", kind=K.DECIMAL, scale=2, private=True, min=0, max=100),
        Field(name="big", kind=K.BIGINT, private=True),
        Field(name="ratio", kind=K.FLOAT, private=True),
        Field(name="low", kind=K.FLOAT, private=True, min=2.5),
        Field(name="open", kind=K.BOOL), Field(name="shut", kind=K.BOOL, private=True),
        Field(name="state", kind=K.ENUM, choices=("a", "b", "c")),
        Field(name="mood", kind=K.ENUM, choices=("a", "b", "c"), private=True),
        Field(name="at", kind=K.DATETIME), Field(name="born", kind=K.DATE, private=True),
        Field(name="seen", kind=K.DATETIME, private=True),
        Field(name="of", kind=K.REF, ref="Thing"), Field(name="tags", kind=K.LIST, item=K.STR),
        Field(name="raw", kind=K.BYTES), Field(name="apiToken", kind=K.STR),
        Field(name="file", kind=K.FILE), Field(name="phone", kind=K.STR, pattern=r"\+49[0-9]+"),
    ),
)  # fmt: skip
SCHEMA = Schema(entities={"Thing": THING})
ROW: Row = {
    "id": "ada", "_seq": 7, "text": "Ada says", "long": "so much", "count": 12, "cost": 47,
    "price": 1_250, "big": -(2**60), "ratio": 2.5, "low": 3.0, "open": True, "shut": True,
    "state": "b", "mood": "b", "at": "2026-11-29T12:00:00.000Z", "born": "1815-12-10",
    "seen": "2026-11-29T12:00:00.000Z", "of": "ada", "tags": ["Ada", "x"], "raw": b"Ada says",
    "apiToken": "2026-11-29", "phone": "+49123",
    "file": {"id": "f1", "name": "ada.txt", "size": 3, "type": "t", "sha256": "0a" * 32,
             "url": "/f1"},
}  # fmt: skip


def _masked(row: Row, keep: tuple[str, ...] = ()) -> Row:
    return Masking(SCHEMA, Pseudonyms(b"key"), keep).row(THING, row)


def test_what_people_wrote_goes_and_what_the_app_knows_stays() -> None:
    """Texts, JSON, bytes and everything hidden differ; the rest is as it was."""
    made = _masked(ROW)
    same = {name for name in ROW if made[name] == ROW[name]}
    assert same >= {"_seq", "count", "open", "state", "at"}
    assert same <= {"_seq", "count", "open", "state", "at", "shut", "mood"}
    assert made["of"] == made["id"] != "ada"
    assert made["file"]["name"] != "ada.txt"
    assert made["file"] == {
        **ROW["file"], "name": made["file"]["name"], "size": 0, "sha256": NO_BYTES
    }  # fmt: skip
    assert made["phone"].startswith("+4")


def test_bounds_hold() -> None:
    """Every value passes the check of its field, as it did before."""
    made = _masked(ROW)
    for one in THING.fields:
        check = constraint_of(one)
        if check is not None:
            check(made[one.name])


@given(st.integers(0, 50), st.integers(0, 50))
def test_different_values_stay_different(one: int, other: int) -> None:
    """Of a hidden number within bounds, too."""
    made = [_masked({**ROW, "cost": value})["cost"] for value in (one, other)]
    assert (made[0] == made[1]) is (one == other)


def test_hidden_switches_choices_and_times_are_permuted() -> None:
    """All choices come up, dates are earlier by the same."""
    moods = {_masked({**ROW, "mood": one})["mood"] for one in "abc"}
    assert moods == set("abc")
    assert {_masked({**ROW, "shut": one})["shut"] for one in (True, False)} == {True, False}
    made = [_masked({**ROW, "born": one})["born"] for one in ("2026-01-01", "2026-01-02")]
    assert made[0] < made[1] < "2026-01-01"


def test_null_stays_null() -> None:
    """Nothing has no pseudonym."""
    nothing: dict[str, Any] = {one.name: None for one in THING.fields}
    made = _masked({**ROW, **nothing})
    assert {name: made[name] for name in nothing} == nothing


def test_a_field_that_is_to_stay_stays() -> None:
    """`Entity.field` says so; one that is not there is refused."""
    assert _masked(ROW, ("Thing.text", "Thing.cost"))["text"] == "Ada says"
    with pytest.raises(NotFound, match=r"no field Thing\.nothing"):
        _masked(ROW, ("Thing.nothing",))
    masking = Masking(SCHEMA, Pseudonyms(b"key"), ("Thing.text",))
    assert masking.kept(THING) == ["text", "count", "open", "state", "at", "of"]


def test_a_pattern_that_no_other_text_fits_is_refused_by_name() -> None:
    """It is never shown instead: the owner says whether it may be."""
    entity = Entity(name="E", fields=(Field(name="word", kind=K.STR, pattern="yes|no"),))
    masking = Masking(Schema(entities={"E": entity}), Pseudonyms(b"key"))
    with pytest.raises(InvalidArgument) as caught:
        masking.row(entity, {"id": "a", "_seq": 1, "word": "yes"})
    assert "--keep E.word" in (caught.value.hint or "")


def test_names_say_what_is_a_secret() -> None:
    """A field called like one is hidden without being declared so."""
    assert is_hidden(THING.by_name["apiToken"])
    assert not is_hidden(THING.by_name["text"])
