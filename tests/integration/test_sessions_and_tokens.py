"""Sessions and tokens: listed, bounded, ended; what a scope lets through (THREATS 38, 39, 44)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, limits
from pylon.client.client import PylonClient
from pylon.client.connection import ServerRefused
from pylon.server.auth import hashing
from pylon.testing.harness import Member
from pylon.testing.inprocess import URL
from tests.integration.house import Browser, House, house

ADA = "ada@example.com"


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path) as one:
        yield one


async def _token(at: House, owner: Browser, **wish: Any) -> Browser:
    made = await owner.post("/api/auth/tokens", wish)
    assert made.status == 201, made.body
    program = await at.program()
    program.token = made.body["token"]
    return program


async def test_threat_38_nothing_from_before_a_sign_in_works_after_it(at: House) -> None:
    """A session that somebody put into the browser is dead once its person has signed in."""
    eve = await at.signed_in("eve@example.com")
    planted = eve.cookies["pylon_session"]
    await eve.send(ADA)
    signed = await eve.verify(ADA, at.code(ADA))
    assert eve.cookies["pylon_session"] == signed.body["token"] != planted
    program = await at.program()
    program.token = planted
    assert (await program.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await eve.get("/api/auth/me")).body["email"] == ADA


async def test_sessions_tell_device_and_use_and_all_others_can_be_ended(at: House) -> None:
    """Which is the current one, when each was used; ending the others spares it alone."""
    first, second = await at.signed_in(ADA), await at.signed_in(ADA)
    program = await _token(at, first, name="robot")
    await at.rt.advance(120)
    await second.get("/api/auth/me")
    listed = (await second.get("/api/auth/sessions")).body["sessions"]
    assert sorted(one["kind"] for one in listed) == ["session", "session", "token"]
    (current,) = (one for one in listed if one["current"])
    assert "aiohttp" in current["device"]
    assert current["last_seen"] > current["created_at"]
    assert all("token" not in one or one["kind"] == "token" for one in listed)
    assert (await second.ask("DELETE", "/api/auth/sessions")).body == {"ended": 2}
    for gone in (first, program):
        assert (await gone.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await second.get("/api/auth/me")).status == 200


async def test_sessions_and_tokens_are_bounded(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that was unused for longest goes; a token too many is refused."""
    monkeypatch.setattr(limits, "SESSIONS_PER_USER_MAX", 3)
    monkeypatch.setattr(limits, "TOKENS_PER_USER_MAX", 2)
    at.services.sign_in_rates.demand = lambda key: None  # type: ignore[method-assign]
    signed = []
    for _ in range(3):
        signed.append(await at.signed_in(ADA))
        await at.rt.advance(1)
    await signed[0].get("/api/auth/me")
    await at.rt.advance(61)  # its use is stored
    last = await at.signed_in(ADA)
    answers = [(await one.get("/api/auth/me")).status for one in (*signed, last)]
    assert answers == [200, 401, 200, 200]
    for _ in range(2):
        await _token(at, last)
    assert (await last.post("/api/auth/tokens", {})).code == "CONFLICT"


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ({"read_only": True}, {"read", "pull", "query", "subscribe", "read_group"}),
        (
            {"entities": ["Note"]},
            {"read", "pull", "write", "push", "query", "mutation", "action", "subscribe"},
        ),
        ({"functions": ["mine"]}, {"read", "pull", "write", "push", "query", "subscribe",
                                   "read_group"}),
        ({"entities": [], "functions": ["shout"]}, {"mutation"}),
        ({"read_only": True, "entities": ["Note"], "functions": []}, {"read", "pull", "subscribe"}),
    ],
)  # fmt: skip
async def test_a_scope_holds_on_every_way_in(
    at: House, scope: dict[str, Any], allowed: set[str]
) -> None:
    """Rows, push, pull, sockets and functions: each lets through what the scope has, no more."""
    ada = await at.signed_in(ADA)
    note = (await ada.post("/api/entities/Note", {"text": "hello"})).body["id"]
    token = await _token(at, ada, scope=scope)
    program = token

    async def ok(method: str, path: str, body: Any = None) -> bool:
        answer = await program.ask(method, path, body)
        assert answer.status < 300 or answer.code == "POLICY_DENIED", (path, answer.body)
        return answer.status < 300

    operation = {"op_id": "one", "fn": "pylon.insert",
                 "args": {"entity": "Note", "values": {"text": "pushed"}}}  # fmt: skip
    pushed = await program.post("/api/sync/push", {"operations": [operation]})
    pulled = (await program.get("/api/sync/pull")).body["changes"]
    subscriptions = jsonvalue.encode_text([{"id": "s", "entity": "Note"}])
    got = {
        "read": await ok("GET", "/api/entities/Note"),
        "read_group": await ok("GET", "/api/entities/Group"),
        "write": await ok("PATCH", f"/api/entities/Note/{note}", {"rank": 1}),
        "push": pushed.body["results"][0]["status"] == "applied",
        "query": await ok("POST", "/api/fn/mine", {}),
        "mutation": await ok("POST", "/api/fn/shout", {"noteId": note}),
        "action": await ok("POST", "/api/fn/double", {"n": 2}),
        "pull": any(one["entity"] == "Note" for one in pulled),
        "subscribe": await ok("GET", f"/api/sync/pull?subscriptions={subscriptions}"),
    }
    assert {name for name, is_through in got.items() if is_through} == allowed
    for path in ("/api/sync/snapshot?entity=Note", f"/api/entities/Note/{note}"):
        assert await ok("GET", path) == got["read"]
    body = {"aggregates": {"n": {"count": "*"}}}
    counted = await program.post("/api/aggregate/Note", body)
    assert (counted.code == "POLICY_DENIED") == (not got["read"])
    # Over the socket, too.
    client = PylonClient(
        URL, token=token.token, clock=at.rt.clock, ids=at.rt.runtime.ids,
        connector=lambda: at.rt.network.connector("robot"),
    )  # fmt: skip
    async with client:
        member = Member(client, ADA)
        for name, call in (
            ("push", member.insert("Note", text="by socket")),
            ("query", member.call("mine")),
        ):
            if got[name]:
                await call
                continue
            with pytest.raises(ServerRefused) as refused:
                await call
            assert refused.value.code == "POLICY_DENIED"
    # And it manages no account.
    for method, path in (("POST", "/api/auth/tokens"), ("DELETE", "/api/auth/sessions")):
        assert (await program.ask(method, path, {})).code == "POLICY_DENIED"


@pytest.mark.parametrize(
    "scope", [{}, [], "all", {"read": True}, {"read_only": 1}, {"entities": ["Nope"]},
              {"entities": "Note"}, {"functions": ["hidden"]}, {"functions": [5]}],
)  # fmt: skip
async def test_a_scope_that_is_none_is_refused(at: House, scope: Any) -> None:
    """A misspelt bound must not read as no bound."""
    ada = await at.signed_in(ADA)
    assert (await ada.post("/api/auth/tokens", {"scope": scope})).code == "INVALID_ARGUMENT"
