"""Filters in the client mean what they mean in the server."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.client.fields import Fields
from pylon.client.filters import compile_filter, has_values, sort_key
from pylon.identity import ANONYMOUS
from pylon.policy.filters import compile_filter as compile_server_filter
from pylon.protocol.manifest import EntityManifest, FieldManifest, Manifest
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import Entity, Field, FieldKind

_FIELDS = (
    Field(name="text", kind=FieldKind.STR, nullable=True),
    Field(name="count", kind=FieldKind.INT, nullable=True),
    Field(name="ratio", kind=FieldKind.FLOAT, nullable=True),
    Field(name="price", kind=FieldKind.DECIMAL, scale=2, nullable=True),
    Field(name="big", kind=FieldKind.BIGINT, nullable=True),
    Field(name="open", kind=FieldKind.BOOL, nullable=True),
    Field(name="at", kind=FieldKind.DATETIME, nullable=True),
    Field(name="tags", kind=FieldKind.LIST, item=FieldKind.STR, nullable=True),
)
_ENTITY = Entity(name="Note", fields=_FIELDS)
_KNOWN = Fields(
    Manifest(
        app="a", version="1", hash="h", functions=[],
        entities=[EntityManifest(name="Note", fields=[
            FieldManifest(name=one.name, kind=one.kind, type="", scale=one.scale or None)
            for one in _FIELDS
        ])],
    )
)  # fmt: skip

_TEXTS = st.sampled_from(["", "a", "ab", "b", "\U0001f600", "～", "é"])
_TIMES = st.sampled_from(["2026-11-23T12:00:00.000Z", "2026-11-23T12:00:00.001Z"])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": _TEXTS,
    "count": st.integers(-2, 2),
    "ratio": st.sampled_from([-1.5, 0.0, 1.0, 2.5]),
    "price": st.integers(-200, 200),
    "big": st.sampled_from([-(2**60), 0, 9, 10, 2**60]),
    "open": st.booleans(),
    "at": _TIMES,
    "tags": st.lists(_TEXTS, max_size=2),
}
_rows = st.fixed_dictionaries({name: st.none() | value for name, value in _VALUES.items()})


@st.composite
def _terms(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(_VALUES)))
    field = _ENTITY.by_name[name]
    if name == "tags":
        return {name: {"contains": draw(_TEXTS)}}
    value = to_wire(field, draw(_VALUES[name]))
    operators = ["==", "!="] if name == "open" else ["==", "!=", "<", "<=", ">", ">="]
    if name == "text":
        operators += ["contains", "startsWith"]
    match draw(st.sampled_from(["bare", "null", "list", *operators])):
        case "bare":
            return {name: value}
        case "null":
            return {name: {draw(st.sampled_from(["==", "!="])): None}}
        case "list":
            items = [value, *draw(st.lists(st.none(), max_size=1))]
            return {name: {draw(st.sampled_from(["in", "not in"])): items}}
        case operator:
            return {name: {operator: value}}


_filters = st.recursive(
    _terms(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)


@settings(max_examples=500, deadline=None)
@given(row=_rows, where=_filters)
def test_client_and_server_select_the_same_rows(row: dict[str, Any], where: dict[str, Any]) -> None:
    """For any row and filter the client's answer is the server's."""
    compiled = compile_server_filter(where, entity=_ENTITY)
    truth = compiled.predicate(ANONYMOUS, {"id": "r1", **row}, now="2026-11-23T12:00:00.000Z")
    wire = {
        "id": "r1",
        "_seq": 1,
        **{one.name: to_wire(one, row[one.name]) for one in _FIELDS},
    }
    assert compile_filter(where, "Note", _KNOWN)(wire) is (truth is True)


def test_a_slice_with_null_matches_nothing() -> None:
    """Plain equalities of a refresh: null is no value to share."""
    row = {"id": "a", "_seq": 1, "text": None, "count": 1}
    assert not has_values(row, {"text": None}, "Note", _KNOWN)
    assert has_values(row, {"count": 1}, "Note", _KNOWN)
    assert not has_values(row, {"count": "1"}, "Note", _KNOWN)


def test_order_is_by_code_point_with_nulls_first_and_id_last() -> None:
    """The client sorts as the server lists."""
    texts = ["～", "\U0001f600", None, "a", "a"]
    rows = [{"id": f"r{at}", "_seq": 1, "text": text} for at, text in enumerate(texts)]
    ordered = sorted(rows, key=sort_key(["text"], "Note", _KNOWN))
    assert [row["id"] for row in ordered] == ["r2", "r3", "r4", "r0", "r1"]
    descending = sorted(rows, key=sort_key(["-text"], "Note", _KNOWN))
    assert [row["id"] for row in descending] == ["r1", "r0", "r3", "r4", "r2"]


def test_decimals_and_big_integers_compare_by_value() -> None:
    """They travel as text, and are numbers all the same."""
    row = {"id": "a", "_seq": 1, "price": "9.50", "big": "9"}
    assert compile_filter({"price": {"<": "10.00"}}, "Note", _KNOWN)(row)
    assert compile_filter({"big": {"<": "10"}}, "Note", _KNOWN)(row)
    assert compile_filter({"price": "9.5"}, "Note", _KNOWN)(row)
