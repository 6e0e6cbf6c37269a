"""What no write may set, tried through every way in (I58)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve

APP = """
from __future__ import annotations
from datetime import datetime
from pylon import App, Entity, Ref, actor, field, inc, now

app = App("protected")
SIGNED_IN = "auth.userId != null"


@app.entity(read=SIGNED_IN, insert="isOwner()", update="isOwner()", delete="isOwner()")
class Note(Entity):
    ownerId: Ref["User"] = field(default=actor)
    made: datetime = field(default=now, immutable=True)
    rank: int = field(default=1, immutable=True)
    text: str = ""


@app.mutation
def passedIn(ctx, entity: str, values: dict) -> dict:
    return {"row": ctx.db.insert(entity, **values)}


@app.mutation
def passedOn(ctx, entity: str, id: str, values: dict) -> dict:
    return {"row": ctx.db.update(entity, id, **values)}


@app.mutation
def added(ctx, entity: str, id: str, which: str) -> dict:
    return {"row": ctx.db.update(entity, id, **{which: inc(1)})}
"""
_numbers = count()
#: (entity, id, values) → the error's code, None where it was stored.
Way = Callable[[str, str, dict[str, Any]], Awaitable[str | None]]


def _code_of(body: Any) -> str | None:
    """Return the code of an answer, or of the results of a push: of the first that says one."""
    if "results" in body:
        codes = [one["error"]["code"] for one in body["results"] if "error" in one]
        return next((one for one in codes if one != "ABORTED"), None)
    error = body.get("error")
    return error["code"] if error else None


def _operation(fn: str, args: dict[str, Any]) -> dict[str, Any]:
    return {"op_id": f"o{next(_numbers)}", "fn": fn, "args": args}


def ways_to_update(caller: Caller) -> dict[str, Way]:
    """Return every way to write to a row that is there."""

    async def patch(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.ask("PATCH", f"/api/entities/{entity}/{row_id}", values)
        return _code_of(answer.body)

    async def keyed(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        path, key = f"/api/entities/{entity}/{row_id}", {"Idempotency-Key": f"k{next(_numbers)}"}
        first = await caller.ask("PATCH", path, values, headers=key)
        again = await caller.ask("PATCH", path, values, headers=key)
        assert (first.status, first.body) == (again.status, again.body)
        return _code_of(again.body)

    async def push(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        made = _operation("pylon.update", {"entity": entity, "id": row_id, "values": values})
        return _code_of((await caller.post("/api/sync/push", {"operations": [made]})).body)

    async def atomic(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        args = {"entity": entity, "id": row_id}
        made = [_operation("pylon.update", {**args, "values": one}) for one in (values, {})]
        body = {"operations": made, "atomic": True}
        return _code_of((await caller.post("/api/sync/push", body)).body)

    async def call(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.call("pylon.update", entity=entity, id=row_id, values=values)
        return _code_of(answer.body)

    async def function(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.call("passedOn", entity=entity, id=row_id, values=values)
        return _code_of(answer.body)

    async def socket(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        opened = await caller.sync()
        made = _operation("pylon.update", {"entity": entity, "id": row_id, "values": values})
        await opened.send({"type": "push", "request_id": "r", "operations": [made]})
        results = await opened.until("results")
        await opened.close()
        return _code_of(results)

    return {one.__name__: one for one in (patch, keyed, push, atomic, call, function, socket)}


def ways_to_insert(caller: Caller) -> dict[str, Way]:
    """Return every way to make a row."""

    async def post(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.post(f"/api/entities/{entity}", {"id": row_id, **values})
        return _code_of(answer.body)

    async def push(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        made = _operation("pylon.insert", {"entity": entity, "id": row_id, "values": values})
        return _code_of((await caller.post("/api/sync/push", {"operations": [made]})).body)

    async def call(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.call("pylon.insert", entity=entity, id=row_id, values=values)
        return _code_of(answer.body)

    async def function(entity: str, row_id: str, values: dict[str, Any]) -> str | None:
        answer = await caller.call("passedIn", entity=entity, values={"id": row_id, **values})
        return _code_of(answer.body)

    return {one.__name__: one for one in (post, push, call, function)}


async def _state(served: ServedProject, caller: Caller) -> Any:
    rows = [(await caller.get(f"/api/entities/{name}")).body["rows"] for name in ("Note", "User")]
    me = (await caller.get("/api/auth/me")).body
    return rows, me


async def test_no_way_in_sets_what_is_protected(serve: Serve) -> None:
    """Ids, numbers, stored texts, immutable fields, owners and roles stay what they are."""
    served = await serve(APP)
    ada, eve = [await served.login(f"{one}@x.example") for one in ("ada", "eve")]
    await ada.insert("Note", id="n", text="hers")
    mine = await eve.insert("Note", id="m", text="mine")
    before = await _state(served, eve)
    wrong, denied = "INVALID_ARGUMENT", "POLICY_DENIED"
    unknown: list[dict[str, Any]] = [
        {"_seq": 99}, {"_wire": "{}"}, {"rowid": 9}, {"_rowid_": 9}, {"oid": 9},
        {"roles": ["admin"]}, {"email": "x@x.example"}, {"disabled": False}, {"OWNERID": "x"},
        {"ownerid": "x"}, {'text" = "x': "y"}, {"text": "ok", "_seq": 1},
    ]  # fmt: skip
    on_update: list[tuple[dict[str, Any], str]] = [
        *[(one, wrong) for one in unknown], ({"id": "other"}, wrong), ({"id": "m"}, wrong),
        ({"made": "2020-01-01T00:00:00Z"}, wrong), ({"rank": 1}, wrong), ({"rank": 9}, wrong),
        ({"ownerId": ada.user_id}, denied), ({"ownerId": None}, wrong),
    ]  # fmt: skip
    for way, update in ways_to_update(eve).items():
        for values, code in on_update:
            assert await update("Note", "m", values) == code, (way, values)
        for values in unknown:
            assert await update("User", str(eve.user_id), values) == wrong, (way, values)
            assert await update("User", str(ada.user_id), values) == wrong, (way, values)
        assert await update("User", str(ada.user_id), {"name": "x"}) == denied, way
        assert await update("Note", "n", {"text": "x"}) == denied, way
        assert await update("Note", "n", {"ownerId": eve.user_id}) == denied, way
    for way, insert in ways_to_insert(eve).items():
        for values in unknown:
            assert await insert("Note", "new", values) == wrong, (way, values)
        assert await insert("Note", "new", {"ownerId": ada.user_id}) == denied, way
        assert await insert("Note", "m", {}) == "CONFLICT", way
        assert await insert("User", "new", {}) == denied, way
    for name in ("rank", "_seq", "id", "ownerId", "made"):
        answer = await eve.call("added", entity="Note", id="m", which=name)
        assert answer.code == wrong, name
    after = await _state(served, eve)
    assert after == before
    assert (await eve.get("/api/entities/Note/m")).body == mine


async def test_a_key_used_again_with_more_in_it_changes_nothing(serve: Serve) -> None:
    """The second content under an operation id is a conflict, not a second try."""
    served = await serve(APP)
    eve = await served.login("eve@x.example")
    mine = await eve.insert("Note", id="m", text="mine")
    key = {"Idempotency-Key": "k"}
    path = "/api/entities/Note/m"
    assert (await eve.ask("PATCH", path, {"text": "mine"}, headers=key)).status == 200
    second = await eve.ask("PATCH", path, {"text": "mine", "rank": 7}, headers=key)
    assert second.code == "CONFLICT"
    now = (await eve.get(path)).body
    assert {**now, "_seq": mine["_seq"]} == mine
