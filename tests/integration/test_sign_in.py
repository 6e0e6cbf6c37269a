"""Identity: codes by mail, sessions, cookies, links, tokens, and the end of a session."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.client.admin import AdminClient
from pylon.testing.served import Caller
from tests.conftest import Serve
from tests.integration.apps import NOTES


def _code(served, email: str) -> str:  # type: ignore[no-untyped-def]
    mails: list[Path] = []
    for _ in range(6_000):  # sent by a job, a moment after the answer
        mails = sorted((served.project / ".pylon" / "outbox").glob("*.eml"))
        if any(email in one.read_text() for one in mails):
            break
        time.sleep(0.01)
    found = [one.read_text() for one in mails if email in one.read_text()]
    text = found[-1]
    return text.split("Your code: ")[1].split()[0].strip('",')


async def test_a_code_signs_in_once(serve: Serve) -> None:
    """Send, read the mail, verify: a token and a cookie; the code works once."""
    served = await serve(NOTES)
    nobody = served.anonymous()
    assert (await nobody.post("/api/auth/magic/send", {"email": "Ada@Example.com"})).status == 200
    code = _code(served, "ada@example.com")
    given = {"email": "ada@example.com", "code": code}
    signed = await nobody.post("/api/auth/magic/verify", given)
    assert signed.status == 200
    assert set(signed.body) >= {"token", "user_id", "expires_at"}
    cookie = signed.headers["Set-Cookie"]
    assert cookie.startswith("pylon_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    me = await nobody.ask("GET", "/api/auth/me", headers={"Cookie": cookie.split(";")[0]})
    assert me.body["user_id"] == signed.body["user_id"]
    assert (await nobody.post("/api/auth/magic/verify", given)).code == "UNAUTHENTICATED"


async def test_a_code_dies_after_five_wrong_tries_however_parallel(serve: Serve) -> None:
    """Twenty guesses at once use the code up; the right one comes too late."""
    served = await serve(NOTES)
    nobody = served.anonymous()
    await nobody.post("/api/auth/magic/send", {"email": "ada@example.com"})
    code = _code(served, "ada@example.com")
    guesses = [
        nobody.post("/api/auth/magic/verify", {"email": "ada@example.com", "code": f"WRONG{n}"})
        for n in range(8)
    ]
    answers = await asyncio.gather(*guesses)
    assert {one.code for one in answers} <= {"UNAUTHENTICATED", "RATE_LIMITED"}
    late = await nobody.post("/api/auth/magic/verify", {"email": "ada@example.com", "code": code})
    assert late.code in ("UNAUTHENTICATED", "RATE_LIMITED")


async def test_a_link_ends_the_session_that_was_there(serve: Serve) -> None:
    """No sign-in leaves the token used before alive, by whatever way it came (I65)."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        link = await admin.post("admin/login-link", {"user": "ada@example.com"})
    finally:
        await admin.close()
    answer = await ada.post("/api/auth/link", {"t": link["url"].partition("t=")[2]})
    assert answer.status == 200
    assert (await ada.get("/api/auth/me")).status == 401


async def test_two_changes_of_roles_at_once_both_count(serve: Serve) -> None:
    """A grant made of roles that were read before another grant would lose that one."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        await asyncio.gather(*(
            admin.post("admin/roles", {"user": "ada@example.com", "role": f"r{n}", "grant": True})
            for n in range(8)
        ))  # fmt: skip
    finally:
        await admin.close()
    assert (await ada.get("/api/auth/me")).body["roles"] == [f"r{n}" for n in range(8)]


async def test_known_and_unknown_addresses_answer_alike(serve: Serve) -> None:
    """Nobody learns who has an account."""
    served = await serve(NOTES)
    await served.login("ada@example.com")
    nobody = served.anonymous()
    known = await nobody.post("/api/auth/magic/send", {"email": "ada@example.com"})
    unknown = await nobody.post("/api/auth/magic/send", {"email": "eve@example.com"})
    assert (known.status, known.body) == (unknown.status, unknown.body)


async def test_auth_routes_are_rate_limited(serve: Serve) -> None:
    """A flood of codes meets 429 with Retry-After."""
    nobody = (await serve(NOTES)).anonymous()
    answers = [
        await nobody.post("/api/auth/magic/send", {"email": f"a{n}@example.com"}) for n in range(50)
    ]
    limited = [one for one in answers if one.status == 429]
    assert limited
    assert int(limited[0].headers["Retry-After"]) >= 1


async def test_tokens_and_codes_are_stored_hashed(serve: Serve) -> None:
    """Whoever reads the file finds no token that works."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    await served.anonymous().post("/api/auth/magic/send", {"email": "ada@example.com"})
    code = _code(served, "ada@example.com")
    await served.stop()
    data = (served.project / ".pylon" / "app.db").read_bytes()
    assert str(ada.token).encode() not in data
    database = sqlite3.connect(served.project / ".pylon" / "app.db")
    rows = database.execute("SELECT * FROM _pylon_codes").fetchall()
    database.close()
    assert rows
    assert all(code not in str(value) for row in rows for value in row)


@pytest.mark.alone  # it judges a second
async def test_logging_out_closes_the_sockets_within_a_second(serve: Serve) -> None:
    """The token fails at once; the socket gets 4001 (THREATS 39, I63)."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Note"})
    await socket.until("snapshot")
    started = time.monotonic()
    assert (await ada.post("/api/auth/logout", {})).status == 204
    while (message := await socket.next(3))["type"] != "closed":
        pass
    assert message["code"] == 4001
    assert time.monotonic() - started < 1.0
    assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"


async def test_a_session_can_be_ended_from_another(serve: Serve) -> None:
    """Sessions are listed and ended; what is not one's own is not there."""
    served = await serve(NOTES)
    one, two = await served.login("ada@example.com"), await served.login("ada@example.com")
    bob = await served.login("bob@example.com")
    listed = (await one.get("/api/auth/sessions")).body["sessions"]
    assert len(listed) == 2
    other = next(row["id"] for row in listed if not row.get("current"))
    assert (await bob.ask("DELETE", f"/api/auth/sessions/{other}")).code == "NOT_FOUND"
    assert (await one.ask("DELETE", f"/api/auth/sessions/{other}")).status == 204
    assert (await two.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await one.get("/api/auth/me")).status == 200


async def test_serve_has_no_development_login(serve: Serve) -> None:
    """In production the route does not exist, and mail is not shown anywhere."""
    served = await serve(NOTES, mode="serve", extra=("--migrate",))
    answer = await served.anonymous().post("/api/auth/dev/login", {"email": "a@example.com"})
    assert answer.status == 404


async def test_a_token_has_the_same_bounds_whoever_makes_it(serve: Serve) -> None:
    """The owner for somebody, or somebody for himself: days, name, and what is answered."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    admin = next(Path(served.state).glob("run/*/token")).read_text().strip()
    owner = Caller(served, admin, "owner")
    wrong: list[tuple[str, Any]] = [
        ("days", 0), ("days", -1), ("days", 3_651), ("days", True), ("days", "9"),
        ("name", 5), ("name", "x" * 101),
    ]  # fmt: skip
    for caller, path in ((ada, "/api/auth/tokens"), (owner, "/api/admin/token")):
        given = {"user": "ada@example.com"} if caller is owner else {}
        for name, value in wrong:
            answer = await caller.post(path, {**given, name: value})
            assert (answer.code, answer.body["error"]["details"]["field"]) == (
                "INVALID_ARGUMENT", name,
            ), value  # fmt: skip
        made = await caller.post(path, {**given, "days": 3_650, "name": "x" * 100})
        assert sorted(made.body) == ["email", "expires_at", "id", "token", "user_id"]
        assert (await caller.post(path, given)).status in (200, 201)


async def test_the_development_login_stays_on_this_machine(serve: Serve) -> None:
    """A tunnel comes from here, but by another name or for somebody else: for it there is none."""
    served = await serve(NOTES, toml='[server]\norigins = ["https://notes.example"]\n')

    async def login(**headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await served.anonymous().ask(
            "POST", "/api/auth/dev/login", {"email": "ada@example.com"}, headers=given
        )
        offered = await served.anonymous().ask("GET", "/api/auth/providers", headers=given)
        assert offered.body["dev_login"] == (answer.status == 200)
        return answer.status

    for host in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST"):
        assert await login(Host=host) == 200, host
        assert await login(Host=f"{host}:{served.port}", X_Forwarded_For="::1") == 200, host
    assert await login(Host="notes.example") == 404
    for proxied_for in ("203.0.113.7", "203.0.113.7, 127.0.0.1", "unknown", ""):
        assert await login(Host="localhost", X_Forwarded_For=proxied_for) == 404, proxied_for
    assert await login(Host="localhost", Forwarded="for=203.0.113.7") == 404


async def test_a_role_change_reaches_live_sockets(serve: Serve) -> None:
    """Whoever gets a role is resynced as whom he is now (I64)."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    socket = await ada.sync({"id": "s", "entity": "Note"})
    await socket.until("snapshot")
    again = await served.anonymous().post(
        "/api/auth/dev/login", {"email": "ada@example.com", "roles": ["admin"]}
    )
    assert again.status == 200
    assert (await socket.until("resync"))["reason"] == "identity_changed"
    assert json.dumps((await ada.get("/api/auth/me")).body).count("admin") == 1


@pytest.mark.alone  # within a second
async def test_a_session_that_expires_takes_its_idle_sockets(serve: Serve) -> None:
    """Without any traffic the socket ends within a second of the expiry, and the token with it."""
    served = await serve(NOTES)
    ada = await served.login("ada@example.com")
    made = await ada.post("/api/auth/tokens", {"days": 2 / 86_400})
    short = Caller(served, made.body["token"], ada.user_id)
    expires = datetime.fromisoformat(made.body["expires_at"]).timestamp()
    socket = await short.sync({"id": "s", "entity": "Note"})
    await socket.until("snapshot")
    while (message := await socket.next(6))["type"] != "closed":
        pass
    assert message["code"] == 4001
    assert 0 <= time.time() - expires < 1.0
    assert (await short.get("/api/auth/me")).code == "UNAUTHENTICATED"


async def test_a_link_signs_in_once_and_looking_at_it_does_not(serve: Serve) -> None:
    """Whoever fetches the page, a mail scanner perhaps, leaves the link for the person."""
    served = await serve(NOTES)
    await served.login("ada@example.com")
    admin = AdminClient(
        "http://127.0.0.1", socket_path=next((served.state / "run").glob("*/admin.sock"))
    )
    try:
        link = (await admin.post("admin/login-link", {"user": "ada@example.com"}))["url"]
    finally:
        await admin.close()
    nobody = served.anonymous()
    path, token = link.removeprefix(served.url), link.partition("t=")[2]
    for method in ("GET", "HEAD", "GET"):
        assert (await nobody.ask(method, path)).status == 200
    signed = await nobody.post("/api/auth/link", {"t": token})
    assert signed.status == 200
    assert signed.headers["Set-Cookie"].startswith("pylon_session=")
    assert (await nobody.post("/api/auth/link", {"t": token})).code == "UNAUTHENTICATED"
    assert (await nobody.post("/api/auth/link", {})).code == "INVALID_ARGUMENT"


async def test_every_auth_route_has_a_rate(serve: Serve) -> None:
    """Asking who one is without end meets 429; the development login does not."""
    served = await serve(NOTES)
    nobody = served.anonymous()
    asked = [nobody.get("/api/auth/me") for _ in range(limits.AUTH_CALLS_AT_ONCE + 150)]
    statuses = [one.status for one in await asyncio.gather(*asked)]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) >= limits.AUTH_CALLS_AT_ONCE
    for _ in range(50):
        await served.login("ada@example.com")


async def test_a_page_that_asks_who_is_there_is_answered(serve: Serve) -> None:
    """With `anonymous` nobody and an ended session are nulls; else both are 401."""
    served = await serve(NOTES)
    ada, nobody = await served.login("ada@example.com"), served.anonymous()
    path = "/api/auth/me?anonymous=1"
    nulls = {"user_id": None, "email": None, "roles": []}
    assert (await ada.get(path)).body["email"] == "ada@example.com"
    await ada.post("/api/auth/logout", {})
    for one in (ada, nobody):
        answer = await one.get(path)
        assert (answer.status, answer.body) == (200, nulls)
        assert (await one.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await nobody.get("/api/auth/me?anonymus=1")).code == "INVALID_ARGUMENT"


async def test_the_pages_of_identity_let_nothing_foreign_in(serve: Serve) -> None:
    """Each has a policy without inline script or style, and is framed and cached by nobody."""
    served = await serve(NOTES, mode="serve")
    nobody = served.anonymous()
    for path in ("/auth", "/auth/", "/auth/link", "/auth/account"):
        answer = await nobody.get(path)
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "no-cache" in answer.headers["Cache-Control"]
    script = await nobody.get("/_pylon/elements.js")
    assert script.status == 200
    assert "__PYLON_APP__" not in str(script.body)
