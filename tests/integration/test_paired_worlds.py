"""No oracle: whoever may not know a secret gets the same bytes whatever it is (I59)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pylon import jsonvalue
from pylon.testing.inprocess import URL
from pylon.testing.paired import Observer, World, differences

APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, Text, actor, field, inc, unique

app = App("worlds")
SIGNED_IN = "auth.userId != null"


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, delete=SIGNED_IN)
class Seat(Entity):
    teamId: str = field(index=True)
    userId: Ref["User"] = field(index=True)


@app.entity(
    read="isOwner() || exists Seat(teamId == data.teamId, userId == auth.userId)",
    insert=SIGNED_IN, update="isOwner() && data.locked == false", delete="isOwner()",
)
class Paper(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    teamId: str | None = None
    title: Text = field(default="", max_length=9)
    locked: bool = False


@app.entity(read=SIGNED_IN, insert=SIGNED_IN, update=SIGNED_IN, delete="hasRole('hr')")
class Person(Entity):
    ownerId: Ref["User"] | None = field(default=actor, immutable=True)
    name: Text = ""
    pay: int = field(default=0, read="isOwner() || hasRole('hr')")
    review: Text | None = field(default=None, read="hasRole('hr')")
    bossId: Ref["Person"] | None = field(
        default=None, on_delete="set_null", read="exists Seat(teamId == data.name, "
        "userId == auth.userId)")
    scar: str | None = field(default=None, private=True)


@app.query(allow="true")
def found(ctx, entity: str, id: str) -> dict | None:
    row = ctx.db.get(entity, id)
    return row and {"row": row, "repr": repr(row), "pay": getattr(row, "pay", None)}


@app.query(allow="true")
def counted(ctx, entity: str, where: str) -> int:
    return ctx.db.count(entity, where=where)


@app.mutation
def tried(ctx, entity: str, id: str, values: dict) -> dict:
    return {"row": ctx.db.update(entity, id, **values)}


@app.mutation
def dropped(ctx, entity: str, id: str) -> None:
    ctx.db.delete(entity, id)
"""
NOBODY_S = {"ownerId": None}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of the app."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def _json(value: Any) -> str:
    return quote(jsonvalue.encode_text(value))


async def _try_row(one: Observer, entity: str, row_id: str) -> None:
    """Do whatever names a row, rightly and wrongly."""
    path = f"/api/entities/{entity}/{row_id}"
    for ask in ("", "?access=update&values=%7B%7D", "?access=delete&as=eve@x.example"):
        await one.ask("GET", f"/api/explain/{entity}/{row_id}{ask}")
    for tail in ("", "?include=owner", "?include=zzz"):
        await one.ask("GET", path + tail)
    bodies: list[Any] = [{"title": "x"}, {"zzz": 1}, {"title": 7}, {"title": "0123456789"},
                         {"ownerId": "x"}, {"id": "y"}, {"_seq": 1}, [], {}]  # fmt: skip
    for body in bodies:
        await one.ask("PATCH", path, body)
    for seq in ('"1"', '"5"', "zzz"):
        await one.ask("PATCH", path, {"title": "x"}, {"If-Match": seq})
        await one.ask("DELETE", path, None, {"If-Match": seq})
    for _ in range(2):
        await one.ask("PATCH", path, {"title": "x"}, {"Idempotency-Key": "k1"})
        await one.ask("DELETE", path, None, {"Idempotency-Key": "k2"})
    push = [
        {"op_id": "o1", "fn": "pylon.update",
         "args": {"entity": entity, "id": row_id, "values": {"title": "x"}, "if_seq": 5}},
        {"op_id": "o2", "fn": "pylon.delete", "args": {"entity": entity, "id": row_id}},
        {"op_id": "o3", "fn": "tried",
         "args": {"entity": entity, "id": row_id, "values": {"title": "x"}}},
        {"op_id": "o4", "fn": "dropped", "args": {"entity": entity, "id": row_id}},
    ]  # fmt: skip
    for atomic in (False, True):
        await one.ask("POST", "/api/sync/push", {"operations": push, "atomic": atomic})
    await one.ask("POST", "/api/fn/found", {"entity": entity, "id": row_id})
    await one.ask("DELETE", path)


async def _look_around(one: Observer, entity: str, wheres: list[Any], orders: list[str]) -> None:
    """Ask for sets of rows by every way, with these filters and orders."""
    listed = f"/api/entities/{entity}"
    for where in wheres:
        await one.ask("GET", f"{listed}?where={_json(where)}")
        await one.ask("POST", f"/api/query/{entity}", {"where": where, "limit": 1})
        await one.ask("GET", f"/api/sync/snapshot?entity={entity}&where={_json(where)}")
        spec = [{"id": "s", "entity": entity, "where": where}]
        await one.ask("GET", f"/api/sync/pull?subscriptions={_json(spec)}")
        counted = {"where": where, "aggregates": {"n": {"count": "*"}}}
        await one.ask("POST", f"/api/aggregate/{entity}", counted)
    for order in orders:
        await one.ask("GET", f"{listed}?order={order}")
        of = order.removeprefix("-")
        for aggregate in ({"n": {"count": of}}, {"n": {"max": of}}, {"n": {"sum": of}}):
            await one.ask("POST", f"/api/aggregate/{entity}", {"aggregates": aggregate})
        grouped = {"group": [of], "aggregates": {"n": {"count": "*"}}}
        await one.ask("POST", f"/api/aggregate/{entity}", grouped)
        expression = {"entity": entity, "where": f"{of} != null"}
        await one.ask("POST", "/api/fn/counted", expression)
    for word in ("secret", "quoted", "ada", "long ada", "zzz"):
        await one.ask("GET", f"/api/search/{entity}?q={quote(word)}")
        await one.ask("GET", f"/api/search/{entity}?q={quote(word)}&include=owner&limit=1")
    for path in ("owner", "boss", "boss.owner", "personsByBoss", "personsByBoss.boss", "zzz"):
        await one.ask("POST", f"/api/query/{entity}", {"include": [path], "limit": 2})
    for path in (
        "/api/sync/pull",
        "/api/sync/snapshot?entity=" + entity,
        listed,
        listed + "?include=boss",
        listed + "?include=owner",
        "/api/health",
        "/api/entities/User?include=papersByOwner",
        listed + "?include=personsByBoss",
    ):
        await one.ask("GET", path)  # fmt: skip


@pytest.mark.parametrize("mode", ["serve", "dev"])
async def test_a_hidden_row_and_a_missing_one_are_the_same(project: Path, mode: str) -> None:
    """Every path that names a row, and every set that could hold it, says the same bytes.

    Under `pylon dev`, too, which explains what it refuses.
    """

    async def hidden(made: World) -> None:
        await made.system_insert("Paper", id="h", title="secret", teamId="t", **NOBODY_S)

    async def missing(made: World) -> None:
        await made.system_insert("Paper", id="g", title="other", teamId="t", **NOBODY_S)

    async def script(made: World) -> None:
        for email in ("eve@x.example", None):
            eve = await made.observer(email)
            await eve.follow(
                {"id": "a", "entity": "Paper", "where": {"id": "h"}},
                {"id": "b", "entity": "Paper", "limit": 3, "order": ["-title"]},
                {"id": "c", "entity": "Paper", "where": {"title": {">=": ""}}},
            )
            await made.quiet()
            wheres = [{}, {"id": "h"}, {"id": {"in": ["h", "x"]}}, {"title": "secret"},
                      {"not": {"title": "secret"}}, {"ownerId": None}]  # fmt: skip
            await _look_around(eve, "Paper", wheres, ["title", "-title"])
            await _try_row(eve, "Paper", "h")
            # Writes behind the scenes: the same count, to the row and to the other.
            await made.system_insert("Paper", title=f"z{len(made.observers)}", **NOBODY_S)
            await made.quiet()

    assert not await differences(project, hidden, missing, script, is_dev=mode == "dev")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"pay": 1}, {"pay": 987_654}),
        ({"review": None, "scar": "x"}, {"review": 'a long text, "quoted" \u2028', "scar": "y"}),
        ({"bossId": None}, {"bossId": "b"}),
    ],
    ids=["number", "texts", "reference"],
)  # fmt: skip
async def test_whatever_a_field_holds_who_does_not_get_it_sees_the_same(
    project: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """A row whose field is not given is the same bytes whatever it holds; so is what asks by it."""

    def prepare(values: dict[str, Any]) -> Any:
        async def made_so(made: World) -> None:
            await made.system_insert("Person", id="b", name="Boss", **NOBODY_S)
            await made.system_insert("Person", id="p", name="Ada", **NOBODY_S, **values)
            made.secret = values

        return made_so

    async def script(made: World) -> None:
        eve = await made.observer("eve@x.example")
        names = ["pay", "review", "bossId", "scar", "zzz"]
        await eve.follow(
            {"id": "a", "entity": "Person"},
            {"id": "b", "entity": "Person", "limit": 3, "order": ["name"]},
            *[{"id": f"w{name}", "entity": "Person", "where": {name: {"!=": None}}}
              for name in names],
            *[{"id": f"o{name}", "entity": "Person", "limit": 3, "order": [name]}
              for name in names],
        )  # fmt: skip
        await made.quiet()
        wheres = [{}, *[{name: {"!=": None}} for name in names], {"not": {"pay": 1}},
                  {"or": [{"bossId": None}, {"name": "x"}]}]  # fmt: skip
        await _look_around(eve, "Person", wheres, [*names, *[f"-{name}" for name in names]])
        await eve.ask("GET", "/api/entities/Person/p")
        await eve.ask("POST", "/api/fn/found", {"entity": "Person", "id": "p"})
        await eve.ask("PATCH", "/api/entities/Person/p", {"name": "Eva"})
        await made.quiet()  # what was written stands in frames of its own
        await eve.ask("POST", "/api/fn/tried", {"entity": "Person", "id": "p",
                                                "values": {"name": "Ada"}})  # fmt: skip
        await made.quiet()
        # Who knows writes the secret again: that the row changed is seen, and nothing of it.
        await made.system_update("Person", "p", **made.secret)
        await made.quiet()
        await eve.ask("DELETE", "/api/entities/Person/p")

    assert not await differences(project, prepare(one), prepare(other), script)


@pytest.mark.parametrize("other", ["unknown", "disabled"])
async def test_whether_an_address_has_an_account_is_told_to_nobody(
    project: Path, other: str
) -> None:
    """Codes, links and passwords, asked for and guessed; `register` apart, which says so (I68)."""
    (project / "pylon.toml").write_text('[auth]\nmethods = ["magic", "link", "password"]\n')
    email, wrong = "ada@x.example", "a wrong and long password"

    def having(address: str, *, disabled: bool = False) -> Any:
        async def made_so(made: World) -> None:
            account = await made.runtime.services.accounts.ensure(address)
            if disabled:
                await made.runtime.services.accounts.set_disabled(address, disabled=True)
            assert account.email == address

        return made_so

    async def script(made: World) -> None:
        stranger = await made.observer(None)
        for browser in ({}, {"Origin": URL, "Sec-Fetch-Site": "same-origin"}):
            for path, body in (
                ("magic/send", {"email": email}),
                ("magic/verify", {"email": email, "code": "AAAAAAAA"}),
                ("magic/verify", {"email": email, "code": "AAAAAAAA", "totp": "000000"}),
                ("password/login", {"email": email, "password": wrong}),
                ("password/login", {"email": email, "password": wrong, "totp": "000000"}),
                ("password/reset", {"email": email, "code": "AAAAAAAA", "password": wrong}),
                ("link", {"t": "x" * 43, "email": email}),
            ):  # fmt: skip
                for _ in range(2):
                    await stranger.ask("POST", f"/api/auth/{path}", body, dict(browser))
        for path in ("/api/auth/providers", "/api/auth/me", "/api/entities/User", "/api/sync/pull"):
            await stranger.ask("GET", path)

    another = having("else@x.example") if other == "unknown" else having(email, disabled=True)
    assert not await differences(project, having(email), another, script)


async def test_a_world_that_differs_is_told_apart(project: Path) -> None:
    """The comparison can fail: a difference that the observer may see is found."""

    def named(name: str) -> Any:
        async def made_so(made: World) -> None:
            await made.system_insert("Person", id="p", name=name, **NOBODY_S)

        return made_so

    async def script(made: World) -> None:
        eve = await made.observer("eve@x.example")
        await eve.ask("GET", "/api/entities/Person/p")

    (found,) = await differences(project, named("Ada"), named("Eva"), script)
    assert "GET /api/entities/Person/p" in found
