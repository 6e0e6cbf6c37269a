"""What strangers plant before, and what arrives too late (THREATS 28, 38, 39, 41, 44)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue, limits
from pylon.server.auth import hashing
from pylon.server.storage.expand import Expander
from pylon.testing.inprocess import URL
from tests.integration.house import Browser, House, house

ADA = "ada@example.com"
WORDS, OTHER = "correct horse battery", "staple of the other one"
METHODS = '[auth]\nmethods = ["magic", "link", "password", "guest"]\n'


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    monkeypatch.setattr(hashing, "_ARGON2_KIB", 64)
    async with house(tmp_path, METHODS) as one:
        for rates in (one.services.sign_in_rates, one.services.auth_rates):
            rates.demand = lambda key: None  # type: ignore[method-assign]
        yield one


async def _register(at: House, email: str = ADA) -> Browser:
    one = await at.browser()
    answer = await one.post("/api/auth/password/register", {"email": email, "password": WORDS})
    assert answer.status == 200, answer.body
    return one


async def _token(at: House, one: Browser, **wish: Any) -> Browser:
    robot = await at.program()
    made = await one.post("/api/auth/tokens", wish)
    assert made.status == 201, made.body
    robot.token = made.body["token"]
    return robot


async def test_threat_38_what_a_guest_planted_does_not_open_the_account_he_becomes(
    at: House,
) -> None:
    """Tokens and a password of whoever had the browser before end with the first sign-in."""
    guest = await at.browser()
    await guest.post("/api/auth/guest", {})
    robot = await _token(at, guest)
    assert (await guest.post("/api/auth/password/change", {"password": WORDS})).status == 204
    await guest.send(ADA)
    signed = await guest.verify(ADA, at.code(ADA))
    assert signed.status == 200
    assert (await robot.get("/api/auth/me")).code == "UNAUTHENTICATED"
    eve = await at.browser()
    given = {"email": ADA, "password": WORDS}
    assert (await eve.post("/api/auth/password/login", given)).code == "UNAUTHENTICATED"


async def test_threat_38_a_scoped_token_of_a_guest_settles_no_account(at: House) -> None:
    """A token with a scope changes no account, and signing in with it makes another one."""
    guest = await at.browser()
    made = await guest.post("/api/auth/guest", {})
    robot = await _token(at, guest, scope={"read_only": True})
    given = {"email": ADA, "password": WORDS}
    answer = await robot.post("/api/auth/password/register", given)
    assert answer.body["user_id"] != made.body["user_id"]
    assert (await guest.get("/api/auth/me")).body["email"] is None


# --- late --------------------------------------------------------------------------------


class _Held:
    """A request whose body is still on its way."""

    def __init__(self, one: Browser, method: str, path: str, body: Any) -> None:
        self._rest = asyncio.Event()
        self._begun = asyncio.Event()
        self._asked = asyncio.ensure_future(self._ask(one, method, path, jsonvalue.encode(body)))

    async def _ask(self, one: Browser, method: str, path: str, data: bytes) -> int:
        async def slow() -> AsyncIterator[bytes]:
            yield data[:1]
            self._begun.set()
            await self._rest.wait()
            yield data[1:]

        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {one.token}"}
        async with one._session.request(method, URL + path, data=slow(), headers=headers) as got:
            return got.status

    async def begun(self) -> None:
        await self._begun.wait()
        await asyncio.sleep(0.02)

    async def finish(self) -> int:
        self._rest.set()
        return await self._asked


LATE = [
    ("POST", "/api/auth/tokens", {"name": "late"}),
    ("POST", "/api/auth/password/change", {"password": OTHER, "current": WORDS}),
    ("POST", "/api/auth/totp", {"current": WORDS}),
    ("POST", "/api/query/Note", {}),
    ("POST", "/api/aggregate/Note", {"aggregates": {"n": {"count": "*"}}}),
    ("POST", "/api/entities/Note", {"text": "late"}),
    ("DELETE", "/api/auth/me", {"current": WORDS}),
]


async def test_threat_28_a_body_that_comes_after_the_end_of_a_session_does_nothing(
    at: House,
) -> None:
    """Who was let in with his headers and is out by the end of his body is answered 401."""
    for end in ("sign-out", "disabled"):
        await _register(at, f"{end}@example.com")
        eve = await at.program()
        given = {"email": f"{end}@example.com", "password": WORDS}
        signed = await eve.post("/api/auth/password/login", given)
        eve.token = signed.body["token"]
        held = [_Held(eve, *one) for one in LATE]
        for one in held:
            await one.begun()
        if end == "sign-out":
            await eve.post("/api/auth/logout", None)
        else:
            await at.services.accounts.set_disabled(given["email"], disabled=True)
        got = [await one.finish() for one in held]
        assert dict(zip([one[1] for one in LATE], got, strict=True)) == {
            one[1]: 401 for one in LATE
        }


async def test_threat_41_nothing_that_was_under_way_is_planted_after_all(at: House) -> None:
    """A new password that is still hashed when the session ends is none."""
    eve = await _register(at)
    go = asyncio.Event()
    inner = at.services.passwords.hashed

    async def slow(*given: Any) -> str:
        hashed = await inner(*given)
        await go.wait()
        return hashed

    at.services.passwords.hashed = slow  # type: ignore[method-assign,assignment]
    changing = asyncio.ensure_future(
        eve.post("/api/auth/password/change", {"password": OTHER, "current": WORDS})
    )
    await asyncio.sleep(0.1)
    await at.signed_in(ADA)
    go.set()
    assert (await changing).code == "UNAUTHENTICATED"
    given = {"email": ADA, "password": OTHER}
    login = await (await at.browser()).post("/api/auth/password/login", given)
    assert login.code == "UNAUTHENTICATED"


# --- the owner's hand --------------------------------------------------------------------


async def _admin(at: House, path: str, body: Any) -> Any:
    owner = await at.program()
    owner.token = at.services.admin_tokens[0]
    return await owner.ask("POST", f"/api/admin/{path}", body)


async def test_threat_41_an_invitation_lets_in_the_invited_alone(at: House) -> None:
    """Whoever registered the address before loses it, and gets none of its roles."""
    eve = await _register(at)
    robot = await _token(at, eve)
    made = await _admin(at, "invite", {"email": ADA, "roles": ["editor"]})
    assert made.body["roles"] == ["editor"]
    for dead in (eve, robot):
        assert (await dead.get("/api/auth/me")).code == "UNAUTHENTICATED"
    given = {"email": ADA, "password": WORDS}
    login = await (await at.browser()).post("/api/auth/password/login", given)
    assert login.code == "UNAUTHENTICATED"


async def test_threat_41_an_address_that_nobody_proved_gets_no_role(at: House) -> None:
    """By its address the owner means the person: roles, tokens, links are refused; by id not."""
    eve = await _register(at)
    grant = {"role": "editor", "grant": True}
    for path, more in (("roles", grant), ("token", {}), ("login-link", {})):
        refused = await _admin(at, path, {"user": ADA, **more})
        assert refused.code == "CONFLICT", (path, refused.body)
    me = (await eve.get("/api/auth/me")).body
    assert me["roles"] == []
    named = await _admin(at, "roles", {"user": me["user_id"], "role": "editor", "grant": True})
    assert named.body["roles"] == ["editor"]


async def test_threat_44_a_mailed_link_leads_to_an_origin_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks can't have somebody's token led to plain http on some machine of its own."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    origins = '[server]\norigins = ["https://app.example.com", "https://www.example.com"]\n'
    async with house(tmp_path, METHODS + origins) as at:
        at.services.known_origins |= {"https://www.example.com"}  # this process is asked by name
        for origin in (URL, "https://www.example.com"):
            asked = await at.program()
            body = {"email": ADA}
            got = await asked.ask("POST", "/api/auth/magic/send", body, headers={"Origin": origin})
            assert got.status == 200, got.body
        await at.mailed()
        starts = [mail[mail.index("http") :].partition("/auth/")[0] for mail in at.mails(ADA)]
        assert starts == ["https://app.example.com", "https://www.example.com"]


async def test_threat_41_policies_do_not_know_an_address_that_nobody_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who registers somebody's address reads nothing that is meant for it; by a code he does."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    monkeypatch.setattr(hashing, "_ARGON2_KIB", 64)
    async with house(tmp_path, METHODS, LETTERS) as at:
        await at.rt.system_insert("Letter", id="l1", to=ADA)
        eve = await _register(at)
        assert (await eve.get("/api/auth/me")).body["email"] == ADA
        assert (await eve.get("/api/entities/Letter")).body["rows"] == []
        assert (await eve.post("/api/fn/who", {})).body["value"] is None
        assert (await eve.post("/api/entities/Letter", {"to": "x@example.com"})).status == 403
        ada = await at.signed_in(ADA)
        assert [one["id"] for one in (await ada.get("/api/entities/Letter")).body["rows"]] == ["l1"]
        assert (await ada.post("/api/fn/who", {})).body["value"] == ADA


LETTERS = """
from __future__ import annotations
from pylon import App, Entity

app = App("post", version="1")

@app.entity(read="auth.email == data.to", insert="auth.email != null")
class Letter(Entity):
    to: str

@app.query
def who(ctx) -> str | None:
    return ctx.auth.email
"""


# --- answers that took long --------------------------------------------------------------

ROLES = """
from __future__ import annotations
import asyncio
from pylon import App, Entity, Text

app = App("office", version="1")
going = asyncio.Event()

@app.entity(read="hasRole('hr')", insert="auth.userId != null")
class File(Entity):
    text: Text = ""

@app.query(allow="true")
def files(ctx) -> list[str]:
    return [one.text for one in ctx.db.list(File)]

@app.action
async def watch(ctx) -> list[str]:
    going.set()
    while await ctx.run(files):
        await asyncio.sleep(0.01)
    return await ctx.run(files)
"""
READS = [
    ("GET", "/api/entities/File", None),
    ("GET", "/api/entities/File?order=-text", None),
    ("POST", "/api/query/File", {}),
    ("POST", "/api/aggregate/File", {"aggregates": {"n": {"count": "*"}}}),
    ("GET", "/api/search/File?q=pay", None),
    ("GET", "/api/sync/pull", None),
    ("GET", "/api/sync/snapshot?entity=File", None),
]


async def test_threat_39_what_waited_for_its_turn_goes_out_to_nobody_who_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that stood in line while a role or the session was taken away is not answered."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path, app=ROLES) as at:
        await at.rt.system_insert("File", text="pay")
        await at.services.accounts.ensure(ADA, frozenset({"hr"}))
        line = _Line(at)
        for end, status in (("role", 503), ("session", 401)):
            ada = await at.signed_in(ADA, is_page=False)
            watching = asyncio.ensure_future(ada.post("/api/fn/watch", {}))
            line.stop()
            asked = [asyncio.ensure_future(ada.ask(*one)) for one in READS]
            await line.holds(len(READS) - 1)  # a list without order is read at once
            if end == "role":
                await at.services.people.change_role(ADA, "hr", grant=False)
            else:
                await at.services.people.revoke(ADA)
            line.go()
            got = [(await one).status for one in asked]
            assert {*got} <= {200, status}
            assert got.count(status) >= len(READS) - 1
            seen = await watching
            assert seen.code == "UNAUTHENTICATED" or seen.body["value"] == []
            await at.services.accounts.ensure(ADA, frozenset({"hr"}))


class _Line:
    """Lets reads stand in line, as if every reader were busy."""

    def __init__(self, at: House) -> None:
        self._readers = at.services.database.readers
        self._inner = self._readers.run
        self._open = asyncio.Event()
        self._held = 0

    def stop(self) -> None:
        self._held = 0
        self._open.clear()
        self._readers.run = self._wait  # type: ignore[method-assign]

    async def _wait(self, *given: Any, **more: Any) -> Any:
        self._held += 1
        await self._open.wait()
        return await self._inner(*given, **more)

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self._held < count:
                await asyncio.sleep(0.01)

    def go(self) -> None:
        self._readers.run = self._inner  # type: ignore[method-assign]
        self._open.set()


# --- memory ------------------------------------------------------------------------------


async def test_answers_hold_no_more_than_they_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long neighbours and groups of long texts are refused before they are all in memory."""
    for name in ("INCLUDE_BYTES_MAX", "LIST_BYTES_MAX"):
        monkeypatch.setattr(limits, name, 400_000)
    async with house(tmp_path, app=BOOKS) as at:
        await at.rt.system_insert("Book", id="b1")
        for n in range(9):
            await at.rt.system_insert("Page", bookId="b1", text=f"{n} {'x' * 150_000}")
        one = await at.program()
        aggregate = {"group": ["text"], "aggregates": {"n": {"count": "*"}}}
        fetched = 0
        counted = Expander._counted

        def count(expander: Expander, row: tuple[Any, ...]) -> tuple[Any, ...]:
            nonlocal fetched
            fetched += 1
            return counted(expander, row)

        monkeypatch.setattr(Expander, "_counted", count)
        answer = await one.ask("GET", "/api/entities/Book/b1?include=pages")
        assert (answer.code, fetched) == ("PAYLOAD_TOO_LARGE", 3)
        answer = await one.ask("POST", "/api/aggregate/Page", aggregate)
        assert answer.code == "PAYLOAD_TOO_LARGE"


BOOKS = """
from __future__ import annotations
from pylon import App, Entity, Ref, Text

app = App("books", version="1")

@app.entity(read="true")
class Book(Entity):
    name: str = ""

@app.entity(read="true")
class Page(Entity):
    bookId: Ref[Book]
    text: Text = ""
"""
