"""Filter cases for both clients: rows and filters crossed, with the answer of the Python client.

That answer is held equal to the server's by tests/unit/client/test_filters.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.client.fields import Fields
from pylon.client.filters import compile_filter, sort_key
from pylon.protocol.manifest import EntityManifest, FieldManifest, Manifest

_KINDS = {"text": "str", "count": "int", "price": "decimal", "big": "bigint", "open": "bool",
          "at": "datetime", "tags": "list", "note": "json"}  # fmt: skip

MANIFEST = Manifest(
    app="filters", version="1", hash="f", functions=[],
    entities=[EntityManifest(name="Note", fields=[
        FieldManifest(name=name, kind=kind, type="", scale=2 if kind == "decimal" else None)
        for name, kind in _KINDS.items()
    ])],
)  # fmt: skip

_BLANK: dict[str, Any] = dict.fromkeys(_KINDS)
_VALUES: tuple[dict[str, Any], ...] = (
    {},
    {"text": "a", "count": 1, "price": "9.50", "big": "9", "open": True, "tags": ["x"]},
    {"text": "ab", "count": -1, "price": "10.00", "big": "10", "open": False, "tags": []},
    {"text": "～", "count": 0, "price": "-0.01", "big": "-9223372036854775808"},
    {"text": "\U0001f600", "count": 2**53 - 1, "tags": ["x", None], "note": {"a": [1, None]}},
    {"text": "", "at": "2026-11-23T12:00:00.000Z", "open": True},
    {"text": "b", "at": "2026-11-23T12:00:00.001Z", "note": "text"},
)  # fmt: skip

ROWS: list[dict[str, Any]] = [
    {"id": f"r{at}", "_seq": at + 1, **_BLANK, **values} for at, values in enumerate(_VALUES)
]

FILTERS: list[dict[str, Any]] = [
    {}, {"text": None}, {"text": {"!=": None}}, {"text": "a"}, {"text": {"!=": "a"}},
    {"text": {"<": "\U0001f600"}}, {"text": {">": "～"}}, {"text": {">=": "a", "<": "b"}},
    {"text": {"startsWith": "a"}}, {"text": {"contains": "b"}}, {"text": {"in": ["a", "b"]}},
    {"text": {"in": ["a", None]}}, {"text": {"not in": ["a", "b"]}},
    {"text": {"not in": ["a", None]}},
    {"text": {"in": []}}, {"not": {"text": {"in": []}}}, {"text": {"not in": []}},
    {"count": 1}, {"count": "1"}, {"count": 1.0}, {"count": {"<=": 0}}, {"count": {">": 1.5}},
    {"count": True}, {"open": True}, {"open": 1}, {"open": {"!=": False}},
    {"price": "9.5"}, {"price": {"<": "10"}}, {"price": {"in": ["10.0", "-0.010"]}}, {"price": "x"},
    {"big": {"<": "10"}}, {"big": "-9223372036854775808"}, {"big": {">=": "9"}},
    {"at": "2026-11-23T12:00:00Z"}, {"at": {">": "2026-11-23T13:00:00+01:00"}},
    {"tags": {"contains": "x"}}, {"tags": {"contains": "y"}}, {"tags": {"not in": ["x"]}},
    {"tags": {"contains": None}}, {"note": None}, {"note": {"!=": None}},
    {"and": []}, {"or": []}, {"not": {"text": "a"}}, {"not": {"not": {"text": "a"}}},
    {"or": [{"text": "a"}, {"count": {"<": 0}}]}, {"and": [{"text": "a"}, {"count": 1}]},
    {"not": {"or": [{"text": None}, {"open": True}]}}, {"text": "a", "count": 1},
    {"nosuch": 1}, {"nosuch": None}, {"text": {"like": "a"}}, {"id": {"in": ["r1", "r3"]}},
    {"constructor": None}, {"constructor": {"!=": None}},
]  # fmt: skip

ORDERS: list[list[str]] = [
    [], ["text"], ["-text"], ["count"], ["-price"], ["big"], ["open", "-text"], ["at"], ["-id"],
]  # fmt: skip


def record() -> bytes:
    """Return the text of the vector: manifest, rows, and the ids for each filter and order."""
    fields = Fields(MANIFEST)
    filters = [
        {"where": where, "ids": [row["id"] for row in ROWS if wants(row)]}
        for where, wants in ((one, compile_filter(one, "Note", fields)) for one in FILTERS)
    ]
    orders = [
        {"order": order, "ids": [row["id"] for row in sorted(ROWS, key=key)]}
        for order, key in ((one, sort_key(one, "Note", fields)) for one in ORDERS)
    ]
    vector = {"manifest": MANIFEST, "rows": ROWS, "filters": filters, "orders": orders}
    return msgspec.json.format(msgspec.json.encode(vector), indent=1) + b"\n"
