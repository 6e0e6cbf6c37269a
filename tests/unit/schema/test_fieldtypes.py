"""Each kind of field: what is taken, what is refused and why, and the way between the forms."""

from __future__ import annotations

import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import jsonvalue
from pylon.errors import InvalidArgument
from pylon.schema.fieldtypes import (
    FIELD_TYPES,
    from_app,
    from_stored,
    incremented,
    parse_wire,
    to_app,
    to_stored,
    to_wire,
)
from pylon.schema.model import Field, FieldKind

SAFE = 2**53 - 1


class Color(enum.Enum):
    """An enum of an app."""

    RED = "red"
    BLUE = "blue"


def field(kind: FieldKind, **rest: Any) -> Field:
    """Return a field called x."""
    if kind is FieldKind.DECIMAL:
        rest.setdefault("scale", 2)
    if kind is FieldKind.ENUM:
        rest.setdefault("choices", ("red", "blue"))
    if kind is FieldKind.REF:
        rest.setdefault("ref", "User")
    return Field(name="x", kind=kind, **rest)


def deep(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (FieldKind.STR, "", ""), (FieldKind.STR, "\U0001f600\n", "\U0001f600\n"),
        (FieldKind.INT, SAFE, SAFE), (FieldKind.INT, -SAFE, -SAFE), (FieldKind.INT, 1.0, 1),
        (FieldKind.INT, -0.0, 0),
        (FieldKind.BIGINT, str(2**63 - 1), 2**63 - 1), (FieldKind.BIGINT, str(-(2**63)), -(2**63)),
        (FieldKind.BIGINT, 7, 7),
        (FieldKind.FLOAT, 1, 1.0), (FieldKind.FLOAT, 5e-324, 5e-324), (FieldKind.FLOAT, SAFE,
                                                                       float(SAFE)),
        (FieldKind.DECIMAL, "12.5", 1250), (FieldKind.DECIMAL, "-0.01", -1),
        (FieldKind.DECIMAL, "1.500", 150), (FieldKind.DECIMAL, "0", 0),
        (FieldKind.DECIMAL, "92233720368547758.07", 2**63 - 1),
        (FieldKind.BOOL, False, False),
        (FieldKind.DATETIME, "2026-11-23T12:00Z", "2026-11-23T12:00:00.000Z"),
        (FieldKind.DATETIME, "2026-11-23t13:00:00.5+01:00", "2026-11-23T12:00:00.500Z"),
        (FieldKind.DATETIME, "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
        (FieldKind.DATETIME, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        (FieldKind.DATE, "2024-02-29", "2024-02-29"),
        (FieldKind.ENUM, "red", "red"), (FieldKind.REF, "a-B_9", "a-B_9"),
        (FieldKind.LIST, [], []), (FieldKind.LIST, [None, {"a": 1}], [None, {"a": 1}]),
        (FieldKind.OBJECT, {"a": [1]}, {"a": [1]}), (FieldKind.JSON, "text", "text"),
        (FieldKind.JSON, 0, 0), (FieldKind.BYTES, "AAE=", b"\0\1"), (FieldKind.BYTES, "", b""),
    ],
)  # fmt: skip
def test_values_are_taken(kind: FieldKind, given: Any, value: Any) -> None:
    """What comes over the wire becomes the one form that rows keep, of exactly one type."""
    found = parse_wire(field(kind), given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (FieldKind.STR, 1, "must be text"), (FieldKind.STR, "a\0", "NUL"),
        (FieldKind.STR, "\ud800", "lone surrogates"), (FieldKind.TEXT, "a\udfff", "surrogates"),
        (FieldKind.STR, b"a", "must be text"), (FieldKind.STR, ["a"], "must be text"),
        (FieldKind.INT, SAFE + 1, "2^53-1"), (FieldKind.INT, -SAFE - 1, "2^53-1"),
        (FieldKind.INT, 1.5, "must be an integer"), (FieldKind.INT, "1", "must be an integer"),
        (FieldKind.INT, True, "must be an integer"), (FieldKind.INT, math.nan, "an integer"),
        (FieldKind.INT, math.inf, "an integer"), (FieldKind.INT, 1e300, "2^53-1"),
        (FieldKind.BIGINT, 2**63, "64 bits"), (FieldKind.BIGINT, str(2**63), "64 bits"),
        (FieldKind.BIGINT, "01", "integer as text"), (FieldKind.BIGINT, "-0", "integer as text"),
        (FieldKind.BIGINT, "+1", "as text"), (FieldKind.BIGINT, " 1", "as text"),
        (FieldKind.BIGINT, "1" * 5000, "as text"), (FieldKind.BIGINT, "\u0661", "as text"),
        (FieldKind.BIGINT, True, "as text"), (FieldKind.BIGINT, 1.0, "as text"),
        (FieldKind.FLOAT, math.nan, "finite"), (FieldKind.FLOAT, math.inf, "finite"),
        (FieldKind.FLOAT, -math.inf, "finite"), (FieldKind.FLOAT, "1", "finite"),
        (FieldKind.FLOAT, True, "finite"), (FieldKind.FLOAT, 2**60, "kept exactly"),
        (FieldKind.DECIMAL, 1.5, "decimal as text"), (FieldKind.DECIMAL, 1, "decimal as text"),
        (FieldKind.DECIMAL, "1.555", "2 digits"), (FieldKind.DECIMAL, "1e3", "decimal as text"),
        (FieldKind.DECIMAL, "NaN", "decimal as text"), (FieldKind.DECIMAL, ".5", "decimal as"),
        (FieldKind.DECIMAL, "9" * 19, "too large"), (FieldKind.DECIMAL, "9" * 5000, "as text"),
        (FieldKind.BOOL, 1, "true or false"), (FieldKind.BOOL, "true", "true or false"),
        (FieldKind.DATETIME, "2026-11-23T12:00:00", "offset"),
        (FieldKind.DATETIME, "2026-11-23", "not a date"),
        (FieldKind.DATETIME, "2026-02-30T12:00:00Z", "must be a time"),
        (FieldKind.DATETIME, "2026-11-23T24:00:00Z", "must be a time"),
        (FieldKind.DATETIME, "2026-11-23T12:00:60Z", "must be a time"),
        (FieldKind.DATETIME, "2026-11-23T12:00:00.0001Z", "finer than a millisecond"),
        (FieldKind.DATETIME, "9999-12-31T23:59:59.999-01:00", "out of range"),
        (FieldKind.DATETIME, "0000-01-01T00:00:00.000Z", "must be a time"),
        (FieldKind.DATETIME, 0, "must be a time"), (FieldKind.DATETIME, "", "must be a time"),
        (FieldKind.DATE, "2026-2-3", "must be a date"), (FieldKind.DATE, "2023-02-29", "no day"),
        (FieldKind.DATE, "2026-11-23T00:00:00Z", "must be a date"),
        (FieldKind.ENUM, "green", "one of red, blue"), (FieldKind.ENUM, 1, "one of red, blue"),
        (FieldKind.REF, "", "the id of a User"), (FieldKind.REF, "a b", "the id of a User"),
        (FieldKind.REF, "a" * 65, "the id of a User"), (FieldKind.REF, 1, "the id of a User"),
        (FieldKind.LIST, {}, "must be a list"), (FieldKind.LIST, "ab", "must be a list"),
        (FieldKind.OBJECT, [], "must be an object"),
        (FieldKind.JSON, {"a": math.nan}, "not finite"), (FieldKind.JSON, [2**53], "2^53-1"),
        (FieldKind.JSON, ["a\0"], "NUL"), (FieldKind.JSON, {"\ud800": 1}, "surrogates"),
        (FieldKind.JSON, {1: 2}, "no text"), (FieldKind.JSON, b"a", "bytes"),
        (FieldKind.JSON, deep(65), "deeper than 64"),
        (FieldKind.BYTES, "AA", "base64"), (FieldKind.BYTES, "AB==", "padding"),
        (FieldKind.BYTES, "A\nA=", "base64"), (FieldKind.BYTES, "-_==", "base64"),
        (FieldKind.BYTES, b"AAE=", "base64"), (FieldKind.BYTES, "é", "base64"),
    ],
)  # fmt: skip
def test_values_are_refused(kind: FieldKind, given: Any, message: str) -> None:
    """What could not be kept or sent exactly is refused, naming the field and what is wanted."""
    with pytest.raises(InvalidArgument) as caught:
        parse_wire(field(kind), given)
    assert message in caught.value.message
    assert caught.value.message.startswith("x ")
    assert caught.value.details["field"] == "x"


def test_depth_of_json_ends_at_its_limit() -> None:
    """Sixty-four levels are kept."""
    assert parse_wire(field(FieldKind.JSON), deep(64)) == deep(64)


@pytest.mark.parametrize(
    ("kind", "item", "bad", "message"),
    [
        (FieldKind.LIST, FieldKind.STR, ["a", 1], "item 1 must be text"),
        (FieldKind.LIST, FieldKind.INT, [True], "item 0 must be an integer"),
        (FieldKind.LIST, FieldKind.STR, [None], "item 0 must be text"),
        (FieldKind.LIST, FieldKind.DATETIME, ["2026-11-23"], "item 0 must be a time"),
    ],
)
def test_items_are_checked(kind: FieldKind, item: FieldKind, bad: Any, message: str) -> None:
    """A list's items are of its kind, none is null, and the first wrong one is named."""
    with pytest.raises(InvalidArgument, match=message):
        parse_wire(field(kind, item=item), bad)


@pytest.mark.parametrize(
    ("rest", "kind", "good", "bad", "message"),
    [
        ({"min": 0}, FieldKind.INT, 0, -1, "at least 0"),
        ({"max": 9}, FieldKind.INT, 9, 10, "at most 9"),
        ({"min": 0.5}, FieldKind.FLOAT, 0.5, 0.25, "at least 0.5"),
        ({"max": 9}, FieldKind.BIGINT, "9", "10", "at most 9"),
        ({"min": 1, "max": Decimal("9.99")}, FieldKind.DECIMAL, "9.99", "10", "at most 9.99"),
        ({"min": 1}, FieldKind.DECIMAL, "1.00", "0.99", "at least 1"),
        ({"min_length": 1}, FieldKind.STR, "a", "", "at least 1 character"),
        ({"max_length": 2}, FieldKind.STR, "\U0001f600\U0001f600", "abc", "at most 2 characters"),
        ({"max_length": 1}, FieldKind.LIST, [1], [1, 2], "at most 1 item"),
        ({"min_length": 2}, FieldKind.BYTES, "AAE=", "AA==", "at least 2 bytes"),
        ({"pattern": "[a-z]+"}, FieldKind.STR, "abc", "abc\n", "must match"),
        ({"pattern": "a*"}, FieldKind.STR, "a" * 1000, "a" * 1001, "has a pattern"),
    ],
)
def test_bounds(rest: dict[str, Any], kind: FieldKind, good: Any, bad: Any, message: str) -> None:
    """Bounds are inclusive; lengths count characters, items and bytes; a pattern fits whole."""
    one = field(kind, **rest)
    parse_wire(one, good)
    with pytest.raises(InvalidArgument, match=message):
        parse_wire(one, bad)


def test_null_is_for_nullable_fields() -> None:
    """Null is absence: taken where the field allows it, whatever its bounds."""
    assert parse_wire(field(FieldKind.STR, nullable=True, min_length=1), None) is None
    with pytest.raises(InvalidArgument, match="x must not be null"):
        parse_wire(field(FieldKind.STR), None)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (FieldKind.STR, Color.RED.value, "red"), (FieldKind.ENUM, Color.RED, "red"),
        (FieldKind.DECIMAL, Decimal("1.50"), 150), (FieldKind.DECIMAL, 2, 200),
        (FieldKind.DECIMAL, "1.5", 150),
        (FieldKind.DATETIME, dt.datetime(2026, 11, 23, 13,
                                         tzinfo=dt.timezone(dt.timedelta(hours=1))),
         "2026-11-23T12:00:00.000Z"),
        (FieldKind.DATE, dt.date(2026, 11, 23), "2026-11-23"), (FieldKind.BYTES, bytearray(b"a"),
                                                                b"a"),
        (FieldKind.LIST, ("a", "b"), ["a", "b"]), (FieldKind.BIGINT, 2**60, 2**60),
    ],
)  # fmt: skip
def test_the_app_gives_python_values(kind: FieldKind, given: Any, value: Any) -> None:
    """Datetimes, Decimals, enum members and tuples become the row's own form."""
    assert from_app(field(kind), given) == value


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (FieldKind.DATETIME, dt.datetime(2026, 11, 23, 12), "offset"),  # noqa: DTZ001 -- naive
        (FieldKind.DATETIME, dt.datetime(2026, 11, 23, microsecond=1, tzinfo=dt.UTC), "finer"),
        (FieldKind.DATETIME, dt.date(2026, 11, 23), "must be a time"),
        (FieldKind.DATE, dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "must be a date"),
        (FieldKind.DECIMAL, 1.5, "must be a Decimal"), (FieldKind.DECIMAL, True, "a Decimal"),
        (FieldKind.DECIMAL, Decimal("NaN"), "finite"), (FieldKind.DECIMAL, Decimal("0.001"), "2"),
        (FieldKind.DECIMAL, Decimal("1e999999"), "too large"), (FieldKind.BYTES, "a", "bytes"),
        (FieldKind.LIST, "ab", "must be a list"), (FieldKind.FLOAT, math.inf, "finite"),
    ],
)  # fmt: skip
def test_what_the_app_gives_is_checked_alike(kind: FieldKind, given: Any, message: str) -> None:
    """Naive datetimes, floats for decimals and the like are refused from the app too."""
    with pytest.raises(InvalidArgument, match=message):
        from_app(field(kind), given)


def test_the_app_gets_copies() -> None:
    """What the app changes in a value that it was given changes no row."""
    row_value = {"a": [1]}
    given = to_app(field(FieldKind.JSON), row_value)
    given["a"].append(2)
    assert row_value == {"a": [1]}
    kept = from_app(field(FieldKind.JSON), given)
    given["a"].append(3)
    assert kept == {"a": [1, 2]}


def test_enum_members_come_back() -> None:
    """A field declared by an enum gives the app its members."""
    one = field(FieldKind.ENUM, enum_class=Color)
    assert to_app(one, "red") is Color.RED
    assert to_app(field(FieldKind.ENUM), "red") == "red"


_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
_SAFE = st.integers(-SAFE, SAFE)
_JSON = st.recursive(
    st.none() | st.booleans() | _SAFE | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


def _naive(year: int) -> dt.datetime:
    return dt.datetime(year, 1, 1)  # noqa: DTZ001 -- bounds of a strategy are naive


_TIME = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5))]),
                     min_value=_naive(2), max_value=_naive(9998)).map(
    lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000).isoformat()
)  # fmt: skip
WIRE: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.STR: _TEXT, FieldKind.TEXT: _TEXT, FieldKind.INT: _SAFE,
    FieldKind.BIGINT: st.integers(-(2**63), 2**63 - 1).map(str),
    FieldKind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    FieldKind.DECIMAL: st.decimals(-10**15, 10**15, places=2).map(lambda one: format(one, "f")),
    FieldKind.BOOL: st.booleans(), FieldKind.DATETIME: _TIME,
    FieldKind.DATE: st.dates().map(lambda one: one.isoformat()),
    FieldKind.ENUM: st.sampled_from(("red", "blue")),
    FieldKind.REF: st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    FieldKind.LIST: st.lists(_JSON),
    FieldKind.OBJECT: st.dictionaries(_TEXT, _JSON), FieldKind.JSON: _JSON.filter(
        lambda one: one is not None
    ),
    FieldKind.BYTES: st.binary().map(lambda one: to_wire(field(FieldKind.BYTES), one)),
    FieldKind.FILE: st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
}  # fmt: skip


def test_every_kind_is_generated() -> None:
    """The round trips below leave no kind out, and neither does the table."""
    assert set(WIRE) == set(FIELD_TYPES) == set(FieldKind)


@given(st.sampled_from(sorted(FieldKind)), st.data())
def test_every_way_comes_back(kind: FieldKind, data: st.DataObject) -> None:
    """Wire, stored and app forms of a value lead back to the value, through real JSON."""
    one = field(kind)
    value = parse_wire(one, data.draw(WIRE[kind]))
    through_json = jsonvalue.parse(jsonvalue.encode(to_wire(one, value)))
    assert parse_wire(one, through_json) == value
    assert from_stored(one, to_stored(one, value)) == value
    if kind is not FieldKind.FILE:  # what code sees of a file is what its upload made of it
        assert from_app(one, to_app(one, value)) == value
    assert isinstance(to_stored(one, value), int | float | str | bytes)


@pytest.mark.parametrize(
    ("kind", "value", "amount", "wanted"),
    [
        (FieldKind.INT, 1, 2, 3), (FieldKind.INT, None, 2, 2), (FieldKind.BIGINT, 2**60, 1,
                                                               2**60 + 1),
        (FieldKind.FLOAT, 0.5, 1, 1.5), (FieldKind.DECIMAL, 150, Decimal("0.5"), 200),
        (FieldKind.DECIMAL, 150, 1, 250),
    ],
)  # fmt: skip
def test_increments(kind: FieldKind, value: Any, amount: Any, wanted: Any) -> None:
    """Numbers add up in their own kind; an absent one counts as 0."""
    assert incremented(field(kind), value, amount) == wanted


@pytest.mark.parametrize(
    ("kind", "value", "amount"),
    [
        (FieldKind.INT, SAFE, 1), (FieldKind.INT, 1, 0.5), (FieldKind.INT, 1, True),
        (FieldKind.BIGINT, 2**63 - 1, 1), (FieldKind.FLOAT, 1.7e308, 1.7e308),
        (FieldKind.DECIMAL, 1, 0.5), (FieldKind.DECIMAL, 1, Decimal("0.001")),
        (FieldKind.STR, "a", 1), (FieldKind.FLOAT, 0.0, 10**400),
    ],
)  # fmt: skip
def test_increments_stay_in_range(kind: FieldKind, value: Any, amount: Any) -> None:
    """A sum that can't be kept, or an amount of another kind, is refused."""
    with pytest.raises(InvalidArgument, match="x "):
        incremented(field(kind), value, amount)
