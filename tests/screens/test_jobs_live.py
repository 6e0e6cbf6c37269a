"""The Jobs screen over a real runtime: what the keys do is done."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock
from pylon.testing import running
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from tests.integration.jobs_app import JOBS
from tests.screens.test_dashboard import until
from tests.screens.test_users_screen import _seen


async def test_jobs_are_seen_retried_and_held(tmp_path: Path) -> None:
    """A dead job is looked at and run again, one that hangs is cancelled, a queue paused."""
    (tmp_path / "app.py").write_text(JOBS)
    async with running(tmp_path) as rt:
        services = rt.runtime.services
        admin = AdminClient(URL, token=services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))
        ann = await rt.user("ann@example.com")
        await ann.call("enqueue", fn="refuses")
        (hangs,) = await ann.call("enqueue", fn="hangs")
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, lambda text: "jobs" in text)
            await pilot.press("6")
            # The stream of an app whose clock stands still tells each thing once.
            await _seen(app, "● running", "hangs", "✗ dead", "NO: never", "tick")
            await pilot.press("down", "enter")
            await _seen(app, "NO: never", "ann@example.com", "attempt 1 of 11")
            await pilot.press("r")
            await _seen(app, "✓ retry refuses")
            await pilot.press("escape", "g", "c", "y")
            await _seen(app, "✓ cancel hangs", "- cancelled")
            await pilot.press("P", "y")
            await _seen(app, "✓ pause queue default")
            assert (await ann.call("job", id=hangs))["state"] == "cancelled"
            assert set(services.worker.paused) == {"default"}
            await pilot.press("slash", *"!state:dead", "enter")
            await until(app, lambda text: "NO: never" not in text and "hangs" in text)
        await admin.close()
