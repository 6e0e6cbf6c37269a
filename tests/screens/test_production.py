"""Production is read-only in the dashboard: one lock, whatever screen asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.client.admin import AdminError
from pylon.server.http import table
from tests.conftest import ROOT
from tests.screens.fakes import status
from tests.screens.test_dashboard import opened, until

#: What is posted and changes nothing of the app.
READING = {
    "/api/admin/query", "/api/admin/explain", "/api/admin/sql", "/api/admin/mail/preview",
    "/api/admin/backups", "/api/admin/backups/{name}/verify",
    "/api/admin/backups/{name}/send",
}  # fmt: skip


def _posts() -> set[str]:
    """Return the owner's routes that are posted to, as the sources name them."""
    found: set[str] = set()
    for path in Path(str(table.__file__)).parent.glob("*.py"):
        found |= set(re.findall(r'"POST", "(/api/admin/[^"]+)"', path.read_text()))
    assert "/api/admin/reload" in found, ROOT
    return found


async def test_no_route_that_changes_something_is_let_through_until_it_is_unlocked() -> None:
    """Every route of the owner, those of screens to come as well: refused unless it only reads."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text and "read-only (W)" in text)
        for route in sorted(_posts()):
            path = re.sub(r"\{[^}]+\}", "x", route).removeprefix("/api/")
            if route in READING:
                app.production.demand(path, {})
            else:
                with pytest.raises(AdminError, match="PRODUCTION is read-only here"):
                    app.production.demand(path, {})
        app.production.demand("admin/data-bulk/Task", {"look": True})
        await pilot.press("W")
        await until(app, lambda text: "This is PRODUCTION." in text)
        await pilot.press("y")
        await until(app, lambda text: "UNLOCKED (W)" in text)
        app.production.demand("admin/reload", {})
        await pilot.press("W")
        await until(app, lambda text: "read-only (W)" in text)


async def test_development_is_not_locked() -> None:
    """There is nothing to unlock, and W says so."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status())
        await until(app, lambda text: " dev" in text)
        app.production.demand("admin/reload", {})
        await pilot.press("W")
        await until(app, lambda text: "everything can be changed" in text)
