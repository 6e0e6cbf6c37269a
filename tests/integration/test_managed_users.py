"""Accounts in the owner's hands, and in a mutation's: roles, disabling, invitations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pylon.client.connection import ServerRefused
from pylon.clock import iso_ms
from pylon.server.auth import hashing
from tests.integration.house import House, house

ADA = "ada@example.com"
APP = """
from __future__ import annotations
from pylon import App, Entity, Refused, Text

app = App("club", version="1")

@app.entity(read="hasRole('member')", insert="hasRole('member')")
class Minute(Entity):
    text: Text = ""

@app.mutation
def promote(ctx, userId: str, thenFail: bool = False) -> list[str]:
    with ctx.as_system():
        ctx.accounts.grant(userId, "member")
        ctx.db.insert("Minute", text="welcome")
        roles = sorted(ctx.accounts.roles(userId))
    if thenFail:
        raise Refused("NO_ROOM")
    return roles

@app.mutation
def demote(ctx, userId: str) -> None:
    with ctx.as_system():
        ctx.accounts.revoke(userId, "member")

@app.mutation
def ban(ctx, userId: str) -> None:
    with ctx.as_system():
        ctx.accounts.disable(userId)

@app.mutation
def help_myself(ctx) -> None:
    ctx.accounts.grant(ctx.auth.user_id, "member")
"""


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path, app=APP) as one:
        yield one


async def test_a_mutation_changes_roles_with_its_transaction(at: House) -> None:
    """Rows that the new role reads arrive at open connections; a rollback takes the role back."""
    ada, boss = await at.rt.user(ADA), await at.rt.user("boss@example.com")
    assert ada.user_id is not None
    with pytest.raises(ServerRefused):
        await boss.call("promote", userId=ada.user_id, thenFail=True)
    found = at.services.accounts.find(ADA)
    assert found is not None
    assert found.roles == frozenset()
    assert await boss.call("promote", userId=ada.user_id) == ["member"]
    await at.rt.settled()
    assert [one.text for one in ada.rows("Minute")] == ["welcome"]
    assert boss.rows("Minute") == []
    await boss.call("demote", userId=ada.user_id)
    await at.rt.settled()
    assert ada.rows("Minute") == []
    with pytest.raises(ServerRefused) as refused:
        await ada.call("help_myself")
    assert refused.value.code == "POLICY_DENIED"


async def test_a_banned_user_is_out_at_once(at: House) -> None:
    """Sockets and tokens end with the commit, and no code is mailed any more (I63)."""
    ada = await at.signed_in(ADA)
    await ada.post("/api/auth/tokens", {})
    user_id = (await ada.get("/api/auth/me")).body["user_id"]
    boss = await at.rt.user("boss@example.com")
    await boss.call("ban", userId=user_id)
    await boss.call("ban", userId=user_id)
    assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"
    await ada.send(ADA)
    assert len(at.mails(ADA)) == 1


async def _admin(at: House, method: str, path: str, body: Any = None) -> Any:
    owner = await at.program()
    owner.token = at.services.admin_tokens[0]
    return await owner.ask(method, f"/api/admin/{path}", body)


async def test_the_owner_finds_disables_and_revokes(at: House) -> None:
    """Each step is seen by the account that it is about."""
    ada = await at.signed_in(ADA)
    await at.signed_in("bob@example.com")
    listed = (await _admin(at, "GET", "users?search=ADA@")).body
    assert [one["email"] for one in listed["users"]] == [ADA]
    first = (await _admin(at, "GET", "users?limit=1")).body
    second = (await _admin(at, "GET", f"users?limit=1&after={first['next']}")).body
    assert [one["users"][0]["email"] for one in (first, second)] == [ADA, "bob@example.com"]
    shown = (await _admin(at, "GET", f"users/{ADA}")).body
    assert [one["kind"] for one in shown["sessions"]] == ["session"]
    assert (await _admin(at, "POST", f"users/{ADA}/disable", {})).body["disabled"] is True
    assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"
    await _admin(at, "POST", f"users/{ADA}/enable", {})
    assert (await ada.get("/api/auth/me")).status == 200
    ended = {"session": shown["sessions"][0]["id"]}
    assert (await _admin(at, "POST", f"users/{ADA}/revoke", ended)).body["ended"] == 1
    assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await _admin(at, "POST", f"users/{ADA}/revoke", ended)).code == "NOT_FOUND"


async def test_accounts_are_searched_by_words_role_and_state(at: House) -> None:
    """Words in address, id and roles, `role:`, `state:`, `!` turns it; ten words count."""
    await at.signed_in(ADA)
    await at.signed_in("bob_b@example.com")
    await _admin(at, "POST", "roles", {"user": "bob_b@example.com", "role": "Editor"})
    await _admin(at, "POST", "users/bob_b@example.com/disable", {})
    await _admin(at, "POST", "invite", {"email": "new@example.com"})
    for line, found in (
        ("ADA@", {"ada"}), ("example com", {"ada", "bob_b", "new"}), ("role:edi", {"bob_b"}),
        ("role:ditor", set()), ("editor", {"bob_b"}), ("state:disabled", {"bob_b"}),
        ("state:invited", {"new"}), ("state:active", {"ada"}), ("state:nothing", set()),
        ("!state:active", {"bob_b", "new"}), ("!role:editor new", {"ada", "bob_b", "new"}),
        ("b%b", set()), ("b_b", {"bob_b"}), ("'", set()), ("", {"ada", "bob_b", "new"}),
        ("!", {"ada", "bob_b", "new"}), ("example " * 9 + "ada@ zz", {"ada"}),
        ("example " * 9 + "zz ada@", set()),
    ):  # fmt: skip
        answer = (await _admin(at, "GET", f"users?search={quote(line)}")).body
        assert {one["email"].partition("@")[0] for one in answer["users"]} == found, line
        assert answer["total"] == len(found), line
    assert (await _admin(at, "GET", f"users?search={'x' * 201}")).code == "INVALID_ARGUMENT"


async def test_the_list_tells_sessions_and_last_use(at: House) -> None:
    """What is not stored yet counts as well; what has expired does not."""
    ada = await at.signed_in(ADA)
    await ada.post("/api/auth/tokens", {"name": "tool"})
    await at.rt.advance(30)
    await ada.get("/api/auth/me")
    now = iso_ms(at.services.clock.now_ms())
    (one,) = (await _admin(at, "GET", "users")).body["users"]
    assert (one["sessions"], one["tokens"], one["last_seen"]) == (1, 1, now)
    await at.rt.advance(120 * 86_400)
    (one,) = (await _admin(at, "GET", "users")).body["users"]
    assert (one["sessions"], one["tokens"]) == (0, 0)


async def test_an_invitation_says_where_its_mail_goes(at: House) -> None:
    """In development it stays in the outbox, and the Mail screen shows its link."""
    made = (await _admin(at, "POST", "invite", {"email": "new@example.com"})).body
    assert made["mail"] == {"way": "outbox", "folder": ".pylon/outbox"}
    await at.mailed()
    assert made["url"] in at.services.observer.mails[-1]["text"]


async def test_the_owner_invites_exports_deletes_and_signs_in_as(at: House) -> None:
    """The link of an invitation works for a week and once; what is deleted is out."""
    made = await _admin(at, "POST", "invite", {"email": "new@example.com", "roles": ["member"]})
    await at.mailed()
    assert made.body["url"] in at.mails("new@example.com")[-1]
    await at.rt.advance(6 * 86_400)
    guest = await at.browser()
    token = {"t": made.body["url"].partition("#t=")[2]}
    assert (await guest.post("/api/auth/link", token)).status == 200
    assert (await guest.post("/api/auth/link", token)).code == "UNAUTHENTICATED"
    assert (await guest.get("/api/auth/me")).body["roles"] == ["member"]
    exported = (await _admin(at, "GET", "users/new@example.com/export")).body
    assert exported["account"]["roles"] == ["member"]
    assert (await _admin(at, "POST", "users/new@example.com/delete", {})).body["deleted"] is True
    assert (await guest.get("/api/auth/me")).code == "UNAUTHENTICATED"
    await at.signed_in("bob@example.com")
    url = (await _admin(at, "POST", "users/bob@example.com/sign-in-as", {})).body["url"]
    assert (await guest.post("/api/auth/link", {"t": url.partition("#t=")[2]})).status == 200
    assert (await guest.get("/api/auth/me")).body["email"] == "bob@example.com"


async def test_only_the_owner_reaches_the_accounts(at: House) -> None:
    """A user's session, or nobody: 401, also for an admin of the app's own policies."""
    ada = await at.signed_in(ADA, is_page=False)
    await at.services.accounts.change_role(ADA, "admin", grant=True)
    for one in (ada, await at.program()):
        assert (await one.get("/api/admin/users")).code == "UNAUTHENTICATED"
        assert (await one.post("/api/admin/invite", {"email": ADA})).code == "UNAUTHENTICATED"
