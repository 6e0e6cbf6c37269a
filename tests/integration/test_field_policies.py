"""Fields with a read policy of their own: every way out says the same, and nothing asks by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from pylon import jsonvalue
from pylon.app.loader import load_app
from pylon.devtools.codegen.app import app_types
from pylon.schema.describe import json_schema
from pylon.server.http.openapi import describe
from pylon.testing.served import Answer, Caller, ServedProject
from tests.conftest import Serve

APP = '''
"""People, of whom everybody knows the name and few know the pay."""

from __future__ import annotations
from pylon import App, Entity, Ref, actor, field, inc, unique

app = App("people")
SIGNED_IN = "auth.userId != null"


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, update=SIGNED_IN, delete=SIGNED_IN)
class Seat(Entity):
    teamId: str = field(index=True)
    userId: Ref["User"] = field(index=True)


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, update=SIGNED_IN,
            delete="data.pay < 100 || exists Seat(teamId == data.review, userId == auth.userId)")
class Person(Entity):
    ownerId: Ref["User"] = field(default=actor, immutable=True)
    name: str
    teamId: str | None = None
    pay: int = field(default=0, read="isOwner() || hasRole('hr')")
    review: str | None = field(default=None, read="hasRole('hr')")
    judgeId: Ref["User"] | None = field(default=None, read="hasRole('hr')")
    chat: str | None = field(
        default=None, read="exists Seat(teamId == data.teamId, userId == auth.userId)")
    code: str | None = field(default=None, unique=True, read="hasRole('hr')")
    scar: str | None = field(default=None, private=True)

    one_each = unique("name", "scar")


@app.query
def found(ctx, id: str) -> Person | None:
    return ctx.db.get(Person, id)


@app.query
def everybody(ctx) -> list[Person]:
    return ctx.db.list(Person)


@app.query
def asSystem(ctx) -> list[Person]:
    with ctx.as_system():
        return ctx.db.list(Person, where={"review": {"!=": None}}, order="pay")


@app.query
def payOf(ctx, id: str) -> int | None:
    return ctx.db.get(Person, id).pay


@app.query
def payOrNothing(ctx, id: str) -> int | None:
    return getattr(ctx.db.get(Person, id), "pay", None)


@app.query
def richer(ctx, than: int) -> int:
    return ctx.db.count(Person, where="pay > args.than", args={"than": than})


@app.mutation
def raised(ctx, id: str) -> Person:
    return ctx.db.update(Person, id, pay=inc(1))


@app.mutation
def written(ctx, values: dict) -> Person:
    return ctx.db.insert(Person, **values)


@app.mutation
def changed(ctx, id: str, values: dict) -> Person:
    return ctx.db.update(Person, id, **values)
'''
PUBLIC = {"id", "ownerId", "name", "teamId", "_seq"}
SECRETS = ("secret-review", "secret-chat", "secret-code", "secret-scar", "4711")
FULL = {"teamId": "t1", "pay": 4711, "review": "secret-review", "chat": "secret-chat",
        "code": "secret-code", "scar": "secret-scar"}  # fmt: skip
SUBSCRIPTION = {"id": "s", "entity": "Person"}
WINDOW = {"id": "w", "entity": "Person", "order": ["name"], "limit": 5}


async def _login(served: ServedProject, email: str, *roles: str) -> Caller:
    body = {"email": email, "roles": list(roles)}
    answer = await served.anonymous().post("/api/auth/dev/login", body)
    return Caller(served, answer.body["token"], answer.body["user_id"])


def _told(way: str, changes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the Person of a batch, by itself and as whoever moved in a refresh gets it."""
    told = [each for each in changes if each["entity"] == "Person"]
    found = {way: next(each["row"] for each in reversed(told) if "row" in each)}
    refreshed = [row for each in told for row in each.get("rows", ())]
    return {**found, f"{way}, refreshed": refreshed[-1]} if refreshed else found


async def _rows(caller: Caller) -> dict[str, dict[str, Any]]:
    """Return what a caller gets of the only Person, by each way out."""
    listed = (await caller.get("/api/entities/Person")).body["rows"]
    row_id = listed[0]["id"]
    one = {"list": listed[0], "get": (await caller.get(f"/api/entities/Person/{row_id}")).body}
    one["query"] = (await caller.post("/api/query/Person", {"order": ["name"]})).body["rows"][0]
    one["include"] = (await caller.get("/api/entities/Person?include=owner")).body["rows"][0]
    assert one["include"].pop("owner")["id"] == listed[0]["ownerId"]
    included = (await caller.get("/api/entities/User?include=personsByOwner")).body["rows"]
    one["included"] = next(each for user in included for each in user["personsByOwner"])
    pulled = (await caller.get("/api/sync/pull")).body["changes"]
    exported = (await caller.get("/api/auth/export")).body["rows"]["Person"]
    if exported:  # his own, and nobody's because of a field that he does not get
        one["export"] = exported[0]
    one |= _told("pull", pulled)
    asked = quote(jsonvalue.encode_text([{**SUBSCRIPTION, "where": {"name": "Ada"}}]))
    pulled = (await caller.get(f"/api/sync/pull?subscriptions={asked}")).body["changes"]
    one |= _told("pull alone", pulled)
    one["snapshot"] = (await caller.get("/api/sync/snapshot?entity=Person")).body["rows"][0]
    one["function"] = (await caller.call("found", id=row_id)).body["value"]
    one["functions"] = (await caller.call("everybody")).body["value"][0]
    socket = await caller.sync(SUBSCRIPTION, WINDOW)
    one["page"] = (await socket.until("snapshot"))["rows"][0]
    await socket.close()
    socket = await caller.sync(WINDOW)
    one["window"] = (await socket.until("window"))["rows"][0]
    await socket.close()
    return one


async def _catch_up(caller: Caller, cursor: str) -> dict[str, Any]:
    socket = await caller.sync({**SUBSCRIPTION, "have": True}, cursor=cursor)
    row: dict[str, Any] = (await socket.until("changes"))["changes"][-1]["row"]
    await socket.close()
    return row


async def test_every_way_out_leaves_out_what_the_caller_does_not_get(serve: Serve) -> None:
    """Owner, member, role and stranger get their fields, and the same bytes of them everywhere."""
    served = await serve(APP)
    ada, ben, cleo = [await _login(served, f"{one}@x.example") for one in ("ada", "ben", "cleo")]
    hr = await _login(served, "hr@x.example", "hr")
    await ben.insert("Seat", teamId="t1", userId=ben.user_id)
    start = (await ada.get("/api/sync/pull")).body["through"]
    live = {one: await one.sync(SUBSCRIPTION) for one in (ada, ben, cleo, hr)}
    for socket in live.values():
        await socket.until("snapshot")
    made = await ada.post("/api/entities/Person", {"name": "Ada", **FULL})
    gets = {ada: {"pay"}, ben: {"chat"}, cleo: set(), hr: {"pay", "review", "judgeId", "code"}}
    assert set(made.body) == PUBLIC | gets[ada]
    for caller, more in gets.items():
        rows = await _rows(caller)
        rows["live"] = (await live[caller].until("changes"))["changes"][0]["row"]
        rows["catch-up"] = await _catch_up(caller, start)
        assert {key: set(row) for key, row in rows.items()} == dict.fromkeys(rows, PUBLIC | more)
        # The very bytes: the order of the members too.
        assert len({jsonvalue.encode_text(row) for row in rows.values()}) == 1, rows
        await live[caller].close()


async def test_write_answers_leave_them_out_too(serve: Serve) -> None:
    """Insert, patch, push, its duplicate and functions answer what the writer gets."""
    served = await serve(APP)
    ada, cleo = [await _login(served, f"{one}@x.example") for one in ("ada", "cleo")]
    await ada.insert("Person", name="Ada", id="p1", **FULL)
    # The app's own code: a hidden field is POLICY_DENIED, getattr with a default gives that.
    assert (await ada.call("payOf", id="p1")).body["value"] == 4711
    assert (await cleo.call("payOf", id="p1")).code == "POLICY_DENIED"
    assert (await cleo.call("payOrNothing", id="p1")).body["value"] is None
    answers: list[Answer] = [
        await cleo.ask("PATCH", "/api/entities/Person/p1", {"review": "mine"}),
        await cleo.call("raised", id="p1"),
        await cleo.call("found", id="p1"),
    ]
    push = {"operations": [{"op_id": "o1", "fn": "pylon.update", "args": {
        "entity": "Person", "id": "p1", "values": {"teamId": "t2"}}}]}  # fmt: skip
    answers += [await cleo.post("/api/sync/push", push) for _ in range(2)]
    rows = [answers[0].body, answers[1].body["value"], answers[2].body["value"]]
    rows += [answer.body["results"][0]["value"] for answer in answers[3:]]
    for row in rows:
        assert set(row) == PUBLIC
    # Under `pylon dev` an admin is told why, and no value that he does not get.
    admin = await _login(served, "admin@x.example", "admin")
    path = "/api/explain/Person/p1?as=cleo@x.example&access=delete"
    for asked in (await admin.get(path), await cleo.ask("DELETE", "/api/entities/Person/p1")):
        assert asked.status in (200, 403)
        assert not any(one in str(asked.body) for one in ("4711", "4712", "mine"))
    system = (await cleo.call("asSystem")).body["value"][0]
    assert system["pay"] == 4712
    assert system["review"] == "mine"
    assert "scar" not in system


async def test_no_question_is_asked_by_a_field_that_is_not_given(serve: Serve) -> None:
    """Filter, order, expression and subscription refuse it in the words of an unknown field."""
    served = await serve(APP)
    ada, hr = await _login(served, "ada@x.example"), await _login(served, "hr@x.example", "hr")
    await ada.insert("Person", name="Ada", **FULL)

    async def asked(caller: Caller, name: str) -> list[tuple[int, Any]]:
        where = quote(jsonvalue.encode_text({"or": [{name: {"!=": None}}]}))
        wanted = quote(jsonvalue.encode_text([{**SUBSCRIPTION, "order": [name], "limit": 1}]))
        answers = [
            await caller.get(f"/api/entities/Person?where={where}"),
            await caller.get(f"/api/entities/Person?order=-{name}"),
            await caller.post("/api/query/Person", {"where": {name: 1}}),
            await caller.get(f"/api/sync/snapshot?entity=Person&where={where}"),
            await caller.get(f"/api/sync/pull?subscriptions={wanted}"),
            await caller.post("/api/aggregate/Person", {"aggregates": {"n": {"count": name}}}),
            await caller.post(
                "/api/aggregate/Person", {"group": [name], "aggregates": {"n": {"count": "*"}}}
            ),
        ]
        socket = await caller.sync({**SUBSCRIPTION, "where": {name: {"!=": None}}})
        said = await socket.next()
        while said["type"] not in ("error", "snapshot"):
            said = await socket.next()
        await socket.close()
        found: list[tuple[int, Any]] = [(one.status, one.body) for one in answers]
        status = 400 if said["type"] == "error" else 200
        return [*found, (status, {"error": said.get("error")})]

    unknown = await asked(ada, "zzzz")
    for name in ("pay", "review", "judgeId", "chat", "code", "scar"):
        for (status, body), (_, told) in zip(await asked(ada, name), unknown, strict=True):
            assert status == 400
            assert jsonvalue.encode_text(body) == jsonvalue.encode_text(told).replace("zzzz", name)
    assert (await ada.call("richer", than=1)).code == "INVALID_ARGUMENT"
    # Whose right depends on who he is alone may ask; `code` compares with texts only.
    usable = await asked(hr, "review")
    assert [status for status, _ in usable] == [200, 200, 400, 200, 200, 200, 200, 200]
    assert "takes" in str(usable[2][1]) or "must be" in str(usable[2][1])
    assert (await asked(hr, "pay"))[0][0] == 400


async def test_a_role_that_goes_takes_fields_and_questions_with_it(serve: Serve) -> None:
    """A live connection whose role is revoked starts over, and can't ask by the field any more."""
    served = await serve(APP)
    ada, hr = await _login(served, "ada@x.example"), await _login(served, "hr@x.example", "hr")
    await ada.insert("Person", name="Ada", **FULL)
    socket = await hr.sync(
        SUBSCRIPTION, {"id": "q", "entity": "Person", "where": {"review": {"!=": None}}}
    )
    pages = [await socket.until("snapshot") for _ in range(2)]
    assert all(
        set(page["rows"][0]) == PUBLIC | {"pay", "review", "judgeId", "code"} for page in pages
    )
    await _login(served, "hr@x.example")
    refused = await socket.until("error")
    assert refused["subscription"] == "q"
    assert refused["error"]["message"] == "Person has no field review"
    assert (await socket.until("resync"))["reason"] == "identity_changed"
    assert set((await socket.until("snapshot"))["rows"][0]) == PUBLIC
    await ada.insert("Person", name="Ben", **{**FULL, "code": "another"})
    assert set((await socket.until("changes"))["changes"][0]["row"]) == PUBLIC
    await socket.close()


async def test_a_conflict_names_no_field_that_the_writer_did_not_set(serve: Serve) -> None:
    """Of a unique index are named his own fields and those that he reads, and never a value."""
    served = await serve(APP)
    ada, cleo = [await _login(served, f"{one}@x.example") for one in ("ada", "cleo")]
    await ada.insert("Person", name="Ada", **FULL)
    await ada.insert("Person", name="Bea", id="b", scar="secret-scar")
    both = await cleo.post("/api/entities/Person", {"name": "Ada", "scar": "secret-scar"})
    assert both.body["error"]["details"] == {"index": "one_each", "fields": ["name", "scar"]}
    one = await cleo.ask("PATCH", "/api/entities/Person/b", {"name": "Ada"})
    assert one.status == 409
    assert one.body["error"]["details"] == {"index": "one_each", "fields": ["name"]}
    assert "scar" not in one.body["error"]["message"]
    own = await cleo.post("/api/entities/Person", {"name": "C", "code": "secret-code"})
    assert own.body["error"]["details"] == {"index": "code", "fields": ["code"]}


def test_what_describes_the_app_says_which_fields_may_be_missing(tmp_path: Path) -> None:
    """Manifest, OpenAPI, JSON Schema and types tell that a field can be absent, not who gets it."""
    (tmp_path / "app.py").write_text(APP)
    definition = load_app(tmp_path, generation=1)
    manifest = msgspec.to_builtins(definition.manifest)
    person = next(one for one in manifest["entities"] if one["name"] == "Person")
    guarded = {one["name"] for one in person["fields"] if one.get("guarded")}
    assert guarded == {"pay", "review", "judgeId", "chat", "code"}
    document, types = describe(definition), app_types(definition)
    schema = json_schema(definition.schema.entities["Person"])
    assert set(document["components"]["schemas"]["Person"]["required"]) == PUBLIC
    assert set(schema["required"]) == PUBLIC
    assert "  readonly pay?: number;" in types
    assert "  readonly name: string;" in types
    for said in (manifest, document, schema):
        assert not any(word in str(said) for word in ("isOwner", "hasRole", "Seat(", "scar"))


async def test_a_ghost_sees_what_its_user_sees(serve: Serve) -> None:
    """The owner who looks as somebody gets no field that this one does not get."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": "t" * 32})
    ada = await _login(served, "ada@x.example")
    await _login(served, "cleo@x.example")
    await ada.insert("Person", name="Ada", **FULL)
    owner = Caller(served, "t" * 32, None)
    for who in ("cleo@x.example", "anonymous"):
        ghost = await owner.get(f"/api/admin/ghost/{who}/api/sync/pull")
        assert ghost.status == 200
        assert not any(secret in str(ghost.body) for secret in SECRETS)
    body = {"entity": "Person", "as": "cleo@x.example"}
    rows = (await owner.post("/api/admin/query", body)).body["rows"]
    assert [set(row) for row in rows] == [PUBLIC]
