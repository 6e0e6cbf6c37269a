"""What other sites and other machines can make a browser do: nothing (I71-I75, THREATS 37-45)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.server.auth import hashing
from pylon.server.http.table import make_router
from tests.integration.house import House, house

ADA = "ada@example.com"
HTTPS = '[server]\norigins = ["https://notes.example"]\n[auth]\nmethods = ["magic", "guest"]\n'


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path) as one:
        yield one


async def test_cookies_are_for_this_origin_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I75: HttpOnly, SameSite, the whole path, no domain; under https Secure and __Host-.

    Under https no other name is read: a sibling host can set `pylon_session`, but not that one.
    """
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path, HTTPS) as at:
        page = await at.browser()
        sent = await page.send(ADA)
        program = await at.program()
        signed = await program.post("/api/auth/guest", {})
        for answer, name in ((sent, "pylon_signin"), (signed, "pylon_session")):
            cookie = answer.headers["Set-Cookie"]
            parts = {one.strip().lower() for one in cookie.split(";")[1:]}
            assert cookie.startswith(f"__Host-{name}=")
            assert parts >= {"httponly", "secure", "samesite=lax", "path=/"}
            assert not any(one.startswith("domain") for one in parts)
        token = signed.body["token"]
        for name, status in (("__Host-pylon_session", 200), ("pylon_session", 401)):
            header = {"Cookie": f"{name}={token}"}
            one = await at.program()
            assert (await one.ask("GET", "/api/auth/me", headers=header)).status == status


async def test_a_page_of_another_origin_changes_and_reads_nothing(at: House) -> None:
    """I74: whatever it sends, with the cookie or without, as a form or as JSON, on every route."""
    ada = await at.signed_in(ADA)
    foreign = (
        {"Origin": "https://evil.example"}, {"Origin": "null"},
        {"Origin": "http://localhost:4322"}, {"Origin": "http://localhost.evil.example:4321"},
        {"Origin": "http://evil.example#localhost:4321"},
    )  # fmt: skip
    for headers in foreign:
        for route in make_router(is_dev=True).routes:
            if route.path.startswith("/api/auth/"):
                path = route.path.replace("{id}", "x")
                answer = await ada.ask(route.method, path, {}, headers=headers)
                assert answer.code == "FORBIDDEN_ORIGIN", (route, headers)
    # A form needs no preflight; without Origin the browser still says whence it comes.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        program = await at.program()
        program.token = None
        headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": kind,
                   "Cookie": f"pylon_session={ada.cookies['pylon_session']}"}  # fmt: skip
        answer = await program.ask("POST", "/api/auth/logout", headers=headers)
        assert answer.code == "FORBIDDEN_ORIGIN"
    assert (await ada.get("/api/auth/me")).status == 200
    preflight = await ada.ask(
        "OPTIONS", "/api/auth/me",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    own = await ada.get("/api/auth/me")
    for answer in (preflight, own):
        assert not any(name.lower().startswith("access-control") for name in answer.headers)


async def test_no_safe_method_changes_anything(at: House) -> None:
    """I74: a GET or HEAD of every route of identity leaves session and database as they were."""
    ada = await at.signed_in(ADA)
    database = at.services.database

    def state() -> list[Any]:
        rows = database.readers.inline.rows
        tables = ("_pylon_accounts", "_pylon_codes", "_pylon_passwords", "_pylon_totp")
        return [database.head, *(rows(f"SELECT * FROM {table}", ()) for table in tables),
                rows("SELECT id, hash, expires_at FROM _pylon_sessions", ())]  # fmt: skip

    before = state()
    for route in make_router(is_dev=True).routes:
        if route.path.startswith(("/api/auth/", "/auth/")):
            for method in ("GET", "HEAD"):
                await ada.ask(method, route.path.replace("{id}", "x") + "?t=x&next=//evil.example")
    assert state() == before
    assert (await ada.get("/api/auth/me")).status == 200


async def test_threat_45_rates_follow_whom_a_trusted_proxy_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each caller behind the proxy has a share; a hop that he wrote himself changes nothing."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    toml = '[server]\ntrusted_proxies = ["127.0.0.1"]\n'
    async with house(tmp_path, toml) as at:

        async def sent(forwarded: str) -> int:
            one = await at.program()
            path, body = "/api/auth/magic/send", {"email": ADA}
            header = {"X-Forwarded-For": forwarded}
            return (await one.ask("POST", path, body, headers=header)).status

        seen = [await sent(f"198.51.100.{n}, 203.0.113.7") for n in range(35)]
        assert seen.count(429) >= 4
        assert await sent("203.0.113.8") == 200
        assert await sent("203.0.113.8, 203.0.113.7") == 429


@pytest.mark.parametrize("mode", ["dev", "serve"])
async def test_development_listens_on_this_machine_only(tmp_path: Path, mode: str) -> None:
    """I73: an address that others reach is refused by name, whoever named it, without the flag."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('a')\n")
    (tmp_path / "pylon.toml").write_text('[server]\nhost = "0.0.0.0"\nport = 0\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon.server", "--project", str(tmp_path), "--mode", mode,
        "--migrate", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    if mode == "dev":
        said = (await process.communicate())[1].decode()
        assert "0.0.0.0" in said
        assert "--allow-remote" in said
        assert process.returncode not in (None, 0)
        return
    try:
        assert (await process.stdout.readline()).startswith(b"listening on http://0.0.0.0:")
    finally:
        process.stdin.close()
        await process.wait()
