"""The Workflows screen over a real runtime: what the keys do is done."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.testing import running
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from tests.integration.workflows_app import WORKFLOWS
from tests.screens.test_dashboard import until
from tests.screens.test_users_screen import _seen


async def test_runs_are_seen_signalled_rerun_and_cancelled(tmp_path: Path) -> None:
    """A timer with its time, a signal that is sent, a failure with its steps, a rerun, a cancel."""
    (tmp_path / "app.py").write_text(WORKFLOWS)
    async with running(tmp_path) as rt:
        services = rt.runtime.services
        admin = AdminClient(URL, token=services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))

        async def start(name: str, **args: object) -> str:
            made = await admin.post("admin/workflows", {"name": name, "args": args})
            return str(made["id"])

        await start("saga")
        await start("cancellable")
        order = await start("order", item="tea")
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(120, 36), notifications=True) as pilot:
            await until(app, lambda text: "flows" in text)
            await pilot.press("7")
            # The stream of an app whose clock stands still tells each thing once.
            await _seen(app, "◔ parked", "signal never", "sleep,", "✗ failed", "SOLD_OUT: no money")
            await pilot.press("slash", *"signal", "enter")
            await _seen(app, "No run is found")
            await pilot.press("escape")
            # A key pressed before the rows are there is about none of them.
            await _seen(app, "1/3", "sleep,")
            await pilot.press("g", "enter")
            await _seen(app, "✓ reserve", "✓ charge", "◔ sleep", "T jumps to what is due next")
            await rt.advance(61)
            await _seen(app, "signal paid")
            await pilot.press("s", "enter", *'{"by":7}', "enter", "y")
            await _seen(app, "✓ completed", "gather of 2", '"paid":{"by":7}')
            await pilot.press("e", "y")
            await _seen(app, "rerun order")
            await pilot.press("escape", "slash", *"wait never", "enter")
            await until(app, lambda text: "1/1" in text and "signal never" in text)
            await pilot.press("c", "y")
            await _seen(app, "✓ cancel cancellable", "it is cancelled")
            found = await admin.get("admin/workflows", search=f"!{order}")
            states = {one["name"]: one["state"] for one in found["runs"]}
            assert states["cancellable"] == "cancelled"
            assert [one["origin"] for one in found["runs"] if one["name"] == "order"] == [order]
        await admin.close()
