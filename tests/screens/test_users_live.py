"""The Users screen over a real runtime: what the keys do is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.server.auth import hashing
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from tests.integration.house import House, house
from tests.integration.test_managed_users import APP
from tests.screens.test_dashboard import until
from tests.screens.test_users_screen import _seen, _type

ADA = "ada@example.com"


@asynccontextmanager
async def _owner(at: House) -> AsyncIterator[AdminClient]:
    """Come as the owner, over the network inside this process."""
    admin = AdminClient(URL, token=at.services.admin_tokens[0])
    admin._session = aiohttp.ClientSession(connector=at.rt.network.connector("owner"))
    try:
        yield admin
    finally:
        await admin.close()


async def test_an_account_is_found_looked_at_and_locked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role arrives at the open socket, the session ends, the invitation's mail is shown."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    async with house(tmp_path, app=APP) as at, _owner(at) as admin:
        ada = await at.signed_in(ADA)
        live = await at.rt.user(ADA)
        assert live.user_id is not None
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, lambda text: "club" in text)
            await pilot.press("U")
            await _seen(app, ADA, "● active", "1/1")
            await pilot.press("plus")
            await _seen(app, "Grant to")
            await _type(app, pilot, "member")
            await _seen(app, "asked for by Minute.read", "1 connection judged anew", "now: member")
            await live.insert("Minute", text="I may")
            await pilot.press("enter")
            await _seen(app, "member", "● session", "connected")
            await pilot.press("d", "y")
            await _seen(app, "✗ disabled", "not connected")
            assert (await ada.get("/api/auth/me")).code == "UNAUTHENTICATED"
            await pilot.press("escape", "i")
            await _seen(app, "Invite")
            await _type(app, pilot, "new@example.com")
            await _seen(app, "Roles of new@example.com")
            await pilot.press("enter")
            await _seen(app, "in .pylon/outbox", "/auth/link#t=")
            await at.mailed()
            await at.rt.advance(1)
            await pilot.press("escape", "m")
            await _seen(app, "new@example.com")
            await pilot.press("enter")
            await _seen(app, "/auth/link#t=")
