"""Why, asked of a running app and of a closed project: what is said, who may ask, what shows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.client.admin import AdminClient, AdminError
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from pylon import App, Entity, Ref, actor, field, index

app = App("docs")


@app.entity
class Team(Entity):
    name: str


@app.entity(read="hasRole('auditor')")
class Member(Entity):
    teamId: Ref[Team]
    userId: Ref["User"]
    role: str
    by_team = index("teamId", "userId")


@app.entity(
    read="auth.isAdmin || data.isOpen"
    " || exists Member(teamId == data.teamId, userId == auth.userId, role == 'editor')",
    insert="isOwner() && data.pin != '0000'", update="isOwner() && data.secret != 'locked'",
    delete="isOwner()",
)
class Doc(Entity):
    teamId: Ref[Team]
    title: str
    isOpen: bool = False
    ownerId: Ref["User"] = field(default=actor)
    secret: str = field(default="hush-canary", private=True)
    pin: str = field(default="1234", private=True)
    wage: int = field(default=7, read="hasRole('boss')")
    stamp: str = field(default="ours", immutable=True)
    by_team = index("teamId")
"""


def _admin(served: ServedProject) -> AdminClient:
    token = next(Path(served.state).glob("run/*/token")).read_text().strip()
    return AdminClient(served.url, token=token)


async def _login(served: ServedProject, email: str, *roles: str) -> Caller:
    answer = await served.anonymous().post(
        "/api/auth/dev/login", {"email": email, "roles": list(roles)}
    )
    return Caller(served, answer.body["token"], answer.body["user_id"])


async def _filled(served: ServedProject) -> tuple[str, str]:
    """Fill the app; return the ids of ada, the owner, and of bob, a viewer."""
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    ids = [(await one.ask("GET", "/api/auth/me")).body["user_id"] for one in (ada, bob)]
    rows = [
        ("Team", "t_7", {"name": "Sevens"}),
        ("Member", "m_1", {"teamId": "t_7", "userId": ids[1], "role": "viewer"}),
        ("Doc", "d_1", {"teamId": "t_7", "title": "Plan \x1b[31m", "ownerId": ids[0]}),
        ("Doc", "d_2", {"teamId": "t_7", "title": "Open", "isOpen": True, "ownerId": ids[0]}),
    ]
    admin = _admin(served)
    for entity, row_id, values in rows:
        insert = {"entity": entity, "id": row_id, "values": values}
        await admin.post("admin/call", {"fn": "pylon.insert", "args": insert})
    await admin.close()
    return ids[0], ids[1]


async def test_the_command_says_why(serve: Serve) -> None:
    """Running and closed give one answer; exit 0 also when denied, 1 where nothing is there."""
    served = await serve(APP)
    _, bob = await _filled(served)
    pylon = Shell(served)
    text = await pylon("explain", "Doc", "d_1", "--as", "bob@example.com")
    assert text.splitlines()[0] == "✗ denied  read Doc d_1  as bob@example.com"
    assert text.splitlines()[1] == "→ would pass if role of the Member m_1 were 'editor'"
    assert f'nearest m_1: teamId = "t_7", userId = "{bob}", role = "viewer"' in text
    assert "\x1b" not in text
    listed = await pylon("explain", "Doc", "d_1", "--as", bob, "--json")
    found = jsonvalue.parse(listed.encode())
    assert list(found) == [
        "allowed", "entity", "id", "access", "policy", "tree", "decided_by", "flip"
    ]  # fmt: skip
    assert (found["allowed"], found["entity"], found["id"]) == (False, "Doc", "d_1")
    assert "did you mean d_" in await pylon("explain", "Doc", "d_3", "--as", bob, code=1)
    await served.stop()
    assert await pylon("explain", "Doc", "d_1", "--as", bob, "--json") == listed


async def test_the_owner_asks_about_anybody(serve: Serve) -> None:
    """Allowed without a flip, updates with their values, slips with what is near."""
    served = await serve(APP)
    ada, bob = await _filled(served)
    admin = _admin(served)

    async def ask(row_id: str, who: str, **rest: Any) -> dict[str, Any]:
        return await admin.post("admin/explain", {"entity": "Doc", "id": row_id, "as": who, **rest})

    found = await ask("d_2", "anonymous")
    assert (found["allowed"], found["decided_by"]) == (True, "data.isOpen")
    assert "flip" not in found
    found = await ask("d_2", ada, access="update", values={"ownerId": bob})
    assert found["flip"] == f"would pass if new.ownerId were '{ada}'"
    found = await ask("d_2", "ada@example.com", access="update")
    assert found["allowed"] is True
    assert found["tree"]["items"][1]["operands"] == {"data.secret": "hush-canary"}
    found = await ask("d_2", ada, field="wage")
    assert (found["field"], found["policy"]) == ("wage", "hasRole('boss')")
    assert found["flip"] == "would pass if role `boss`"
    found = await ask("d_1", bob, field="wage")
    assert [one["label"] for one in found["tree"]["items"]] == ["may read", "wage"]
    for given, hint in (
        ({"row_id": "d_1", "who": ada, "field": "title"}, "who reads the Doc reads it"),
        ({"row_id": "d_1", "who": ada, "field": "pin"}, "private fields"),
        ({"row_id": "d_1", "who": ada, "field": "tile"}, "did you mean title?"),
        ({"row_id": "d_3", "who": ada}, "did you mean d_"),
        ({"row_id": "d_1", "who": ada, "entity": "Dok"}, "did you mean Doc?"),
        ({"row_id": "d_1", "who": "bop@example.com"}, "did you mean bob@example.com?"),
        ({"row_id": "d_1", "who": "bob"}, "did you mean bob@example.com?"),
        ({"row_id": "d_1", "who": "nobody"}, "pylon users"),
    ):
        with pytest.raises(AdminError) as caught:
            await ask(**given)
        assert hint in str(caught.value.hint)
    for row_id in ("d_1", "d_new"):
        new = {"teamId": "t_7", "title": "New", "ownerId": bob}
        assert (await ask(row_id, bob, access="insert", values=new))["allowed"] is True
        assert (await ask(row_id, ada, access="insert", values=new))["allowed"] is False
    stamped = {"ownerId": ada, "stamp": "mine"}
    assert (await ask("d_1", ada, access="insert", values=stamped))["allowed"] is True
    with pytest.raises(AdminError) as caught:
        await ask("d_new", ada, access="insert")
    assert "--set" in str(caught.value.hint)
    for wrong in ({"access": "reed"}, {"values": []}, {"values": {"nope": 1}, "access": "update"}):
        with pytest.raises(AdminError) as caught:
            await ask("d_1", ada, **wrong)
        assert caught.value.code == "INVALID_ARGUMENT"
    await admin.close()


async def test_over_http_admins_ask_in_development_only(serve: Serve) -> None:
    """401, 403, then answers without private values and rows that the admin may not read."""
    served = await serve(APP)
    _, bob = await _filled(served)
    path = f"/api/explain/Doc/d_2?as={bob}&access=update"
    assert (await served.anonymous().ask("GET", path)).status == 401
    assert (await (await served.login("ada@example.com")).ask("GET", path)).status == 403
    root = await _login(served, "root@example.com", "admin")
    found = await root.ask("GET", path)
    assert found.status == 200
    assert found.body["allowed"] is False
    assert "hush-canary" not in str(found.body)
    assert "(hidden)" in str(found.body)
    found = await root.ask("GET", f"/api/explain/Doc/d_1?as={bob}")
    assert "m_1" not in str(found.body)
    auditor = await _login(served, "root@example.com", "admin", "auditor")
    found = await auditor.ask("GET", f"/api/explain/Doc/d_1?as={bob}")
    assert found.body["flip"] == "would pass if role of the Member m_1 were 'editor'"
    assert (await root.ask("GET", "/api/explain/Doc/d_9?as=anonymous")).status == 404
    assert (await root.ask("GET", "/api/explain/Doc/d_1?access=reed")).status == 400


async def test_refusals_say_why_in_development(serve: Serve) -> None:
    """`details.explain` without hidden values, in repeats too; hidden rows only in the log."""
    served = await serve(APP)
    _, bob = await _filled(served)
    caller = await served.login("bob@example.com")
    path = "/api/entities/Doc/d_2"
    key = {"Idempotency-Key": "once"}
    denied = await caller.ask("PATCH", path, {"title": "mine"}, headers=key)
    assert denied.status == 403
    why = denied.body["error"]["details"]["explain"]
    assert (why["allowed"], why["access"], why["id"]) == (False, "update", "d_2")
    assert why["flip"] == f"would pass if data.ownerId were '{bob}'"
    again = await caller.ask("PATCH", path, {"title": "mine"}, headers=key)
    assert (again.status, again.body) == (403, denied.body)
    locked = await caller.ask(
        "POST", "/api/entities/Doc",
        {"teamId": "t_7", "title": "x", "pin": "0000"},
    )  # fmt: skip
    assert locked.status == 403
    text = jsonvalue.encode_text(locked.body["error"]["details"]["explain"])
    assert '"data.pin":"(hidden)"' in text
    assert "hush-canary" not in text
    socket = await caller.sync()
    await socket.send({"type": "push", "request_id": "r", "operations": [
        {"op_id": "o", "fn": "pylon.delete", "args": {"entity": "Doc", "id": "d_2"}},
        {"op_id": "p", "fn": "pylon.update", "args": {"entity": "Doc", "id": "d_1", "values": {}}},
    ]})  # fmt: skip
    pushed, hidden = (await socket.until("results"))["results"]
    assert pushed["error"]["details"]["explain"]["access"] == "delete"
    gone = await caller.ask("GET", "/api/entities/Doc/d_9")
    unreadable = await caller.ask("GET", "/api/entities/Doc/d_1")
    assert (unreadable.status, unreadable.body) == (gone.status, gone.body)
    assert hidden["error"] == gone.body["error"]
    admin = _admin(served)
    for _ in range(600):
        lines = [str(one) for one in (await admin.get("admin/logs"))["lines"]]
        found = [one for one in lines if "policy.hidden" in one]
        if len(found) == 2:
            break
        await asyncio.sleep(0.05)
    assert all("read Doc d_1 to bob@example.com" in one for one in found)
    assert "would pass if role of the Member m_1" not in str(found)  # he may not read that row
    assert any("policy.denied update Doc d_2 to bob@example.com" in one for one in lines)
    assert not any("d_9" in one for one in lines)
    await admin.close()


async def test_refusals_say_nothing_more_in_production(serve: Serve) -> None:
    """In `serve` a refusal is a code and a message."""
    served = await serve(APP, mode="serve")
    admin = _admin(served)
    token = (await admin.post("admin/token", {"user": "bob@example.com"}))["token"]
    await admin.post("admin/call", {"fn": "pylon.insert", "args": {
        "entity": "Team", "id": "t", "values": {"name": "x"}}})  # fmt: skip
    await admin.close()
    caller = Caller(served, token, None)
    values = {"teamId": "t", "title": "x", "pin": "0000"}
    denied = await caller.ask("POST", "/api/entities/Doc", values)
    assert denied.status == 403
    assert set(denied.body["error"]) == {"code", "message"}
    assert (await caller.ask("GET", "/api/explain/Doc/x?as=anonymous")).status == 404


def test_in_production_there_is_no_such_path() -> None:
    """The route table differs; the owner's way stays."""
    from pylon.server.http.table import make_router

    paths = {one.path for one in make_router(is_dev=False).routes}
    assert "/api/explain/{E}/{id}" not in paths
    assert "/api/admin/explain" in paths
