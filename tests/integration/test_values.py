"""Odd values by every way in: kept exactly and read back identical, or refused naming the field."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pylon import jsonvalue
from pylon.testing.served import Caller, SyncSocket
from tests.conftest import Serve

APP = '''
from __future__ import annotations
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from pylon import App, BigInt, Entity, Json, Ref, Text, field as keywords

app = App("values")
ANY = "auth.userId != null"

@app.entity(read=ANY, insert=ANY, update=ANY, delete=ANY)
class V(Entity):
    str: str | None
    text: Text | None
    int: int | None
    big: BigInt | None
    float: float | None
    decimal: Decimal | None = keywords(scale=2, default=None)
    bool: bool | None
    time: datetime | None
    date: date | None
    choice: Literal["a", "ß"] | None
    ref: Ref["V"] | None = keywords(on_delete="set_null", default=None)
    list: list[str] | None
    ints: list[int] | None
    object: dict | None
    json: Json | None
    bytes: bytes | None

@app.mutation
def put(ctx, field: str, value: Any = None) -> V:
    return ctx.db.insert("V", **{field: value})

@app.mutation
def change(ctx, id: str, field: str, value: Any = None) -> V:
    return ctx.db.update("V", id, **{field: value})

''' + "".join(
    f"@app.query\ndef take_{name}(ctx, value: {kind}) -> {kind}:\n    return value\n\n"
    for name, kind in {
        "str": "str", "text": "Text", "int": "int", "big": "BigInt", "float": "float",
        "decimal": "Decimal", "bool": "bool", "time": "datetime", "date": "date",
        "choice": 'Literal["a", "ß"]', "ref": 'Ref["V"]', "list": "list[str]", "ints": "list[int]",
        "object": "dict", "json": "Json", "bytes": "bytes",
    }.items()
)  # fmt: skip

SAFE = 2**53 - 1
NUMBERS = (0, 1, 1.5, True)
#: What is taken by a kind, and what it reads back as where that is not the same.
KEPT: dict[str, tuple[Any, ...]] = {
    "str": ("", " ", "a\n", "é", "e\u0301", "\U0001f600", "\ufffe", "\x7f\x1b[31m", "'; --"),
    "text": ("", "\u2028", "x" * 100_000),
    "int": (0, -1, SAFE, -SAFE, (1.0, 1), (-0.0, 0)),
    "big": ("0", "9223372036854775807", "-9223372036854775808", (5, "5")),
    "float": (0.1, 5e-324, 1.7976931348623157e308, -1e-300, (1, 1.0), (SAFE, float(SAFE))),
    "decimal": ("0.00", "-0.01", ("1", "1.00"), ("1.5", "1.50"), "92233720368547758.07"),
    "bool": (True, False),
    "time": ("2026-11-23T12:00:00.000Z", ("2026-11-23T12:00:00+01:00", "2026-11-23T11:00:00.000Z"),
             "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    "date": ("2026-11-23", "0001-01-01", "9999-12-31", "2024-02-29"),
    "choice": ("a", "ß"),
    "ref": (),
    "list": ([], ["", "\U0001f600"]),
    "ints": ([], [SAFE, -SAFE, 0]),
    "object": ({}, {"a": None, "": [1.5], "__proto__": {"constructor": "x"}}),
    "json": (1, "x", False, [], {"a": [[[{}]]]}, 0.1, SAFE),
    "bytes": ("", "AA==", "//8="),
}  # fmt: skip
REFUSED: dict[str, tuple[Any, ...]] = {
    "str": (*NUMBERS, [], {}, "a\0"),
    "text": (*NUMBERS, "\0"),
    "int": (True, False, 1.5, "1", SAFE + 1, -SAFE - 1, 1e300, [], 2**63, 10**18),
    "big": (True, 1.5, "01", "+1", "-0", "1e3", " 1", "9223372036854775808", "", "٣", "1_0"),
    "float": ("1.5", True, "NaN", "Infinity", SAFE + 1, [], {}),
    "decimal": (1.5, "1.555", "1e2", " 1", "", ".", "NaN", "Infinity", "92233720368547758.08",
                "1,5", "٣", "+1", "--1"),
    "bool": (0, 1, "true", "", [], "false"),
    "time": ("2026-11-23", "2026-11-23T12:00:00", "2026-02-30T00:00:00Z", "10000-01-01T00:00:00Z",
             "0000-01-01T00:00:00Z", "2026-11-23T12:00:00.0001Z", "2026-11-23T25:00:00Z", 0, "now",
             "0001-01-01T00:00:00+01:00", "2026-11-23T12:00:60Z", "", "2026-11-23T24:00:00Z"),
    "date": ("2026-02-29", "2026-1-1", "2026-11-23T00:00:00Z", "0000-01-01", "", 20261123, True),
    "choice": ("b", "", "A", "SS", 0, True, []),
    "ref": ("a b", "", "x" * 65, "ä", 1, "../x", "a\0", {}),
    "list": ("a", {}, [1], [None], ["a\0"], [["a"]]),
    "ints": ([True], ["1"], [1.5], [SAFE + 1], [None], [[]]),
    "object": ([], "x", 1, {"a\0": 1}, {"a": "\0"}, {"a": SAFE + 1}),
    "json": ("\0", {"a": {"\0": 1}}, [SAFE + 1]),
    "bytes": ("A", "AA=", "AA", "A A=", "Zm9v\n", "_-8=", "AB==", 0, []),
}  # fmt: skip


def _pair(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, value)


class Ways:
    """The ways by which a value of one field comes in."""

    def __init__(self, caller: Caller, socket: SyncSocket) -> None:
        self.caller = caller
        self.socket = socket
        self.count = 0
        self.target = ""

    async def push(self, fn: str, args: dict[str, Any]) -> dict[str, Any]:
        """Push one operation over HTTP."""
        answer = await self.caller.post("/api/sync/push", self._operation(fn, args))
        if answer.status != 200:
            return {"status": "rejected", "error": answer.body["error"]}
        result: dict[str, Any] = answer.body["results"][0]
        return result

    async def push_on_socket(self, fn: str, args: dict[str, Any]) -> dict[str, Any]:
        """Push one operation over the socket."""
        message = {"type": "push", "request_id": "r", **self._operation(fn, args)}
        await self.socket.send(message)
        while (answer := await self.socket.next())["type"] not in ("results", "closed"):
            continue
        if answer["type"] == "closed":
            self.socket = await self.caller.sync()
            return {"status": "rejected", "closed": answer["code"]}
        result: dict[str, Any] = answer["results"][0]
        return result

    def _operation(self, fn: str, args: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        operation = {"op_id": f"op{self.count}", "fn": fn, "args": args}
        return {"client_id": "c", "operations": [operation]}

    async def all(self, name: str, value: Any) -> dict[str, Any]:
        """Send a value by each way; returns the answer of each: a row, or an error."""
        caller, target = self.caller, self.target
        values = {name: value}
        found: dict[str, Any] = {
            "POST": (await caller.post("/api/entities/V", values)).body,
            "PATCH": (await caller.ask("PATCH", f"/api/entities/V/{target}", values)).body,
            "put": (await caller.call("put", field=name, value=value)).body,
            "change": (await caller.call("change", id=target, field=name, value=value)).body,
        }
        insert = {"entity": "V", "values": values}
        found["socket"] = await self.push_on_socket("pylon.insert", insert)
        update = {"entity": "V", "id": target, "values": values}
        found["push"] = await self.push("pylon.update", update)
        return found


async def _ways(serve: Serve) -> Ways:
    caller = await (await serve(APP)).login("ada@example.com")
    ways = Ways(caller, await caller.sync())
    ways.target = (await caller.insert("V"))["id"]
    return ways


async def test_what_is_accepted_reads_back_identical(serve: Serve) -> None:
    """By every way in and out: answer, list, pull and the result of a function (I93)."""
    ways = await _ways(serve)
    caller = ways.caller
    for name, values in KEPT.items():
        for value in values:
            given, wanted = _pair(value)
            for way, answer in (await ways.all(name, given)).items():
                if name == "bytes" and way in ("put", "change"):
                    continue  # the app's own code gives bytes, not base64
                row = answer.get("value", answer)
                assert (row[name], type(row[name])) == (wanted, type(wanted)), (name, given, way)
            taken = (await caller.call(f"take_{name}", value=given)).body["value"]
            assert taken == (given if name == "decimal" else wanted), (name, given)
        row = (await caller.get(f"/api/entities/V/{ways.target}")).body
        listed = await caller.get(f'/api/entities/V?where={{"id":"{ways.target}"}}')
        assert listed.body["rows"] == [row]
    pulled = (await caller.get("/api/sync/pull?limit=1000")).body["changes"]
    assert pulled[-1]["row"] == row


async def test_what_cannot_be_kept_is_refused_and_leaves_nothing(serve: Serve) -> None:
    """By every way in: 400, or the frame is refused; the field is named, nothing stored (I95)."""
    ways = await _ways(serve)
    caller = ways.caller
    head = (await caller.get("/api/health")).body["head"]
    for name, values in REFUSED.items():
        for value in values:
            for way, answer in (await ways.all(name, value)).items():
                if way == "socket" and answer.get("closed") == 4400:
                    continue  # the frame itself is no JSON that we read
                error = answer["error"]
                assert error["code"] in ("INVALID_ARGUMENT", "INVALID_JSON"), (name, value, way)
                place = str(error.get("details"))
                # A function's argument is called `value` here.
                assert name in place or "value" in place, (name, value, way, error)
            taken = await caller.call(f"take_{name}", value=value)
            is_scale = name == "decimal" and value in ("1.555", "92233720368547758.08")
            assert taken.status == (200 if is_scale else 400), (name, value)
            if name != "float":  # an integer that no double is just equals none
                where = quote(jsonvalue.encode_text({name: value}))
                assert (await caller.get(f"/api/entities/V?where={where}")).status == 400
    assert (await caller.get("/api/health")).body["head"] == head
    row = (await caller.get(f"/api/entities/V/{ways.target}")).body
    assert {row[name] for name in KEPT} == {None}
