"""What one takes along, and leaving: export and deletion of one's own account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import jsonvalue
from pylon.server.auth import hashing
from tests.integration.house import Browser, House, house

ADA = "ada@example.com"
APP = """
from __future__ import annotations
from pylon import App, Entity, Ref, Text, actor, field

app = App("diary", version="1")

@app.entity(read="isOwner() || data.open == true", insert="isOwner()", update="isOwner()")
class Page(Entity):
    ownerId: Ref["User"] = field(default=actor, on_delete="cascade")
    readerId: Ref["User"] | None = field(default=None, on_delete="set_null")
    text: Text = ""
    open: bool = False
    scar: str | None = field(default=None, private=True)

@app.entity(read="auth.userId != null", insert="isOwner()")
class Deed(Entity):
    ownerId: Ref["User"] = field(default=actor)
"""


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path, app=APP) as one:
        yield one


async def _fresh_code(at: House, one: Browser, email: str = ADA) -> str:
    await one.send(email)
    return at.code(email)


async def test_an_export_has_what_is_ones_own_and_no_secret(at: House) -> None:
    """Account, sessions, and the rows that name the user, as far as he may read them."""
    ada, bob = await at.signed_in(ADA), await at.signed_in("bob@example.com")
    ada_id = (await ada.get("/api/auth/me")).body["user_id"]
    await ada.post("/api/entities/Page", {"text": "mine", "scar": "never told"})
    await bob.post("/api/entities/Page", {"text": "to ada", "readerId": ada_id, "open": True})
    await bob.post("/api/entities/Page", {"text": "not for ada", "readerId": ada_id})
    await bob.post("/api/entities/Page", {"text": "of bob", "open": True})
    token = (await ada.post("/api/auth/tokens", {"name": "robot"})).body["token"]
    answer = await ada.get("/api/auth/export")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    body = answer.body
    assert body["account"]["email"] == ADA
    assert {one["kind"] for one in body["sessions"]} == {"session", "token"}
    assert sorted(one["text"] for one in body["rows"]["Page"]) == ["mine", "to ada"]
    assert [one["id"] for one in body["rows"]["User"]] == [ada_id]
    assert body["rows"]["Deed"] == []
    text = jsonvalue.encode_text(body)
    for secret in ("never told", token, ada.cookies["pylon_session"]):
        assert secret not in text
    assert (await (await at.browser()).get("/api/auth/export")).code == "UNAUTHENTICATED"


async def test_leaving_takes_a_fresh_proof_and_everything_that_is_ones_own(at: House) -> None:
    """Rows by the rules of their references, sessions, codes and remembered answers."""
    ada, bob = await at.signed_in(ADA), await at.signed_in("bob@example.com")
    ada_id = (await ada.get("/api/auth/me")).body["user_id"]
    mine = (await ada.post("/api/entities/Page", {"text": "mine"})).body["id"]
    others = await bob.post("/api/entities/Page", {"readerId": ada_id, "open": True})
    await ada.ask("POST", "/api/entities/Page", {"text": "two"}, headers={"Idempotency-Key": "k"})
    robot = await at.program()
    robot.token = (await ada.post("/api/auth/tokens", {})).body["token"]
    assert (await ada.ask("DELETE", "/api/auth/me", {})).code == "UNAUTHENTICATED"
    assert (await ada.ask("DELETE", "/api/auth/me", {"code": "WRNGWRNG"})).code == "UNAUTHENTICATED"
    code = await _fresh_code(at, ada)
    assert (await ada.ask("DELETE", "/api/auth/me", {"code": code})).status == 204
    for gone in (ada, robot):
        assert (await gone.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await bob.get(f"/api/entities/Page/{mine}")).code == "NOT_FOUND"
    left = (await bob.get(f"/api/entities/Page/{others.body['id']}")).body
    assert left["readerId"] is None
    rows = at.services.database.readers.inline.rows
    for table, column in (
        ("_pylon_accounts", "id"), ("_pylon_sessions", "user_id"), ("_pylon_ops", "principal"),
        ("_pylon_passwords", "user_id"), ("_pylon_clients", "principal"),
    ):  # fmt: skip
        assert rows(f"SELECT * FROM {table} WHERE {column} = ?", (ada_id,)) == [], table
    assert rows("SELECT * FROM _pylon_codes WHERE email = ?", (ADA,)) == []
    # The same address comes back as somebody new.
    again = await at.signed_in(ADA)
    assert (await again.get("/api/auth/me")).body["user_id"] != ada_id


async def test_what_must_not_lose_its_owner_keeps_him(at: House) -> None:
    """A reference that restricts says which entity stands in the way, and nothing is deleted."""
    ada = await at.signed_in(ADA)
    await ada.post("/api/entities/Deed", {})
    code = await _fresh_code(at, ada)
    refused = await ada.ask("DELETE", "/api/auth/me", {"code": code})
    assert refused.body["error"]["details"] == {"entity": "Deed", "field": "ownerId"}
    assert (await ada.get("/api/auth/me")).status == 200
