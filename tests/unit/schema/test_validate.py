"""Whole rows from what comes in: defaults, every problem at once, and patches."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from pylon.errors import InvalidArgument
from pylon.schema.model import Default, DefaultKind, Entity, Field, FieldKind
from pylon.schema.validate import validate_insert, validate_patch

NOW = "2026-11-23T12:00:00.000Z"
ENTITY = Entity(
    name="Note",
    fields=(
        Field(name="title", kind=FieldKind.STR, max_length=5),
        Field(name="count", kind=FieldKind.INT, default=Default(DefaultKind.LITERAL, 7)),
        Field(name="owner", kind=FieldKind.REF, ref="User", default=Default(DefaultKind.ACTOR),
              immutable=True),
        Field(name="at", kind=FieldKind.DATETIME, default=Default(DefaultKind.NOW)),
        Field(name="tags", kind=FieldKind.LIST, item=FieldKind.STR,
              default=Default(DefaultKind.FACTORY, list)),
        Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
        Field(name="secret", kind=FieldKind.STR, private=True, nullable=True),
    ),
)  # fmt: skip


def insert(values: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """Return the row of an insert by u1."""
    given = {"now": NOW, "actor": "u1", "new_id": lambda: "minted", **rest}
    return validate_insert(ENTITY, values, **given)


def problems(call: Any) -> list[tuple[str, str]]:
    """Return every problem of a refused call, the first of them being the named one."""
    with pytest.raises(InvalidArgument) as caught:
        call()
    found = [(one["field"], one["message"]) for one in caught.value.details["problems"]]
    assert caught.value.details["field"] == found[0][0]
    return found


def test_defaults_are_filled() -> None:
    """Literals, now, the actor, factories and null fill what was not given."""
    assert insert({"title": "a"}) == {
        "id": "minted", "title": "a", "count": 7, "owner": "u1", "at": NOW, "tags": [],
        "price": None, "secret": None,
    }  # fmt: skip


def test_factories_are_called_for_each_row() -> None:
    """Two rows never share what a factory made."""
    assert insert({"title": "a"})["tags"] is not insert({"title": "a"})["tags"]


def test_ids_may_be_brought() -> None:
    """An id among the values or beside them is taken; two that differ are refused."""
    assert insert({"title": "a", "id": "mine"})["id"] == "mine"
    assert insert({"title": "a"}, row_id="mine")["id"] == "mine"
    assert insert({"title": "a", "id": "mine"}, row_id="mine")["id"] == "mine"
    assert problems(lambda: insert({"title": "a", "id": "mine"}, row_id="other"))[0][0] == "id"
    for bad in ("", "a b", "é", "x" * 65, 1):
        assert problems(lambda bad=bad: insert({"title": "a", "id": bad}))[0][0] == "id"


def test_every_problem_is_told_at_once() -> None:
    """All wrong, missing and unknown fields are listed, each by name."""
    found = problems(
        lambda: insert({"count": "1", "at": "today", "tags": [1], "_seq": 1, "nosuch": 1})
    )
    assert [name for name, _ in found] == ["title", "count", "at", "tags", "_seq", "nosuch"]
    assert found[0] == ("title", "title is required")
    assert found[-1] == ("nosuch", "Note has no field nosuch")
    assert found[-2][1] == "_seq is set by the server"


def test_null_is_no_way_around_a_required_field() -> None:
    """Null in a field that can't be null is refused, default or not."""
    assert problems(lambda: insert({"title": None})) == [("title", "title must not be null")]
    assert problems(lambda: insert({"title": "a", "count": None}))[0][0] == "count"


def test_an_actor_is_needed_where_nobody_is_signed_in() -> None:
    """default=actor of a field that can't be null refuses the anonymous caller, by name."""
    assert problems(lambda: insert({"title": "a"}, actor=None)) == [
        ("owner", "owner needs a signed-in caller")
    ]


def test_a_long_name_is_not_repeated_whole() -> None:
    """An unknown name of any length makes a short message."""
    assert len(problems(lambda: insert({"title": "a", "x" * 9999: 1}))[0][1]) < 100


def test_private_fields_may_be_written() -> None:
    """Private fields are set like others; it is reading that they refuse."""
    assert insert({"title": "a", "secret": "s"})["secret"] == "s"
    assert validate_patch(ENTITY, {"secret": "s"}) == {"secret": "s"}


def test_patches_hold_what_was_given() -> None:
    """A patch is checked field by field and fills nothing."""
    assert validate_patch(ENTITY, {"title": "b", "price": "1.5"}) == {"title": "b", "price": 150}
    assert validate_patch(ENTITY, {}) == {}
    assert validate_patch(ENTITY, {"price": None}) == {"price": None}


def test_patches_are_judged_whole() -> None:
    """Immutable, unknown and wrong fields, id and _seq are all told at once."""
    found = problems(
        lambda: validate_patch(
            ENTITY, {"title": "too long", "owner": "u2", "id": "x", "_seq": 1, "nosuch": 1}
        )
    )
    assert found == [
        ("title", "title must have at most 5 characters"),
        ("owner", "owner is set on insert only"),
        ("id", "id is set on insert only"),
        ("_seq", "_seq is set by the server"),
        ("nosuch", "Note has no field nosuch"),
    ]


def test_values_of_the_app() -> None:
    """The app's own code gives Decimals and datetimes."""
    moment = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    row = insert({"title": "a", "price": Decimal("1.5"), "at": moment}, is_app=True)
    assert (row["price"], row["at"]) == (150, NOW)
    assert problems(lambda: insert({"title": "a", "price": 1.5}, is_app=True))[0][0] == "price"
    assert validate_patch(ENTITY, {"price": Decimal(2)}, is_app=True) == {"price": 200}


def test_a_wrong_factory_is_the_apps_mistake() -> None:
    """A factory that makes the wrong thing is no 400: the caller did nothing wrong."""
    wrong = Default(DefaultKind.FACTORY, lambda: 1)
    entity = Entity(name="E", fields=(Field(name="a", kind=FieldKind.STR, default=wrong),))
    with pytest.raises(TypeError, match="default_factory of a must be text"):
        validate_insert(entity, {}, now=NOW, actor=None, new_id=lambda: "i")
