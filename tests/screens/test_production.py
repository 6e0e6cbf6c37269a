"""Production is read-only in the dashboard: one lock, whatever screen asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.client.admin import AdminError
from pylon.server.http import table
from pylon.tui.dashboard import Dashboard
from pylon.tui.keymap import own_bindings, places
from pylon.tui.launcher import Launcher
from pylon.tui.verbs import Verb
from tests.conftest import ROOT
from tests.screens.fakes import status
from tests.screens.test_branches_and_schema import LIST
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


def _writing() -> list[tuple[type, Verb]]:
    """Return every key that changes something, with the class that has it."""
    return [
        (place, one) for place in places() for one in own_bindings(place)
        if isinstance(one, Verb) and one.writes and place is not Launcher
    ]  # fmt: skip


async def test_no_key_that_changes_something_does_anything_until_it_is_unlocked() -> None:
    """All of the registry, and of screens above: no form, no question, no request; it says why."""
    async with opened((100, 30)) as (app, admin, _):
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text and "read-only (W)" in text)
        found = _writing()
        ids = {str(one.id) for _, one in found}
        assert {"branches.create", "schema.apply", "restart", "projects.stop", "data.edit"} <= ids
        for place, verb in found:
            # What is never asked needs no life: only its class is looked at.
            at = app.panes.get(place.__name__.removesuffix("Pane").lower()) or object.__new__(place)
            at = app if place is Dashboard else at
            assert await app.run_action(verb.action, at), verb.id
            assert len(app.screen_stack) == 1, verb.id
        await until(app, lambda text: "PRODUCTION is read-only here: W unlocks it" in text)
        assert admin.posted == []


async def test_keys_of_screens_are_stopped_as_they_are_pressed() -> None:
    """`c` on Branches asks for no name, and does after `W`."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/branches"] = LIST
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text and "read-only (W)" in text)
        app.action_pane("branches")
        await until(app, lambda text: "● in use" in text)
        await pilot.press("c")
        await until(app, lambda text: "W unlocks it" in text)
        assert len(app.screen_stack) == 1
        await pilot.press("W")
        await until(app, lambda text: "This is PRODUCTION." in text)
        await pilot.press("y")
        await until(app, lambda text: "UNLOCKED (W)" in text)
        await pilot.press("c")
        await until(app, lambda text: "Create a branch: its name" in text)


async def test_production_is_not_stopped_from_the_palette_until_it_is_unlocked() -> None:
    """*Stop the runtime* has no key; it asks nothing, and stops nothing, until `W`."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text and "read-only (W)" in text)
        await pilot.press("ctrl+p")
        await until(app, lambda text: "Search for commands" in text)
        await pilot.press(*"stop the runtime")
        await until(app, lambda text: "it was started elsewhere" in text)
        await pilot.press("enter")
        await until(app, lambda text: "W unlocks it" in text)
        assert len(app.screen_stack) == 1
        assert admin.posted == []
        app.state.is_unlocked = True
        app.action_stop_runtime()
        await until(app, lambda text: "This is PRODUCTION." in text and "runtime of chat" in text)


async def test_production_is_locked_before_its_stream_says_anything() -> None:
    """A proxy may hold the stream back for ever: rows are read then, and must not be written."""
    async with opened((100, 30)) as (app, _, _pilot):
        app.state.environment = "production"
        assert app.production.is_locked
        with pytest.raises(AdminError, match="PRODUCTION is read-only here"):
            app.production.demand("admin/data/Task", {"values": {}})


async def test_locked_production_calls_what_only_reads() -> None:
    """A query by its kind; a mutation, and what nobody knows, may write."""
    async with opened((100, 30)) as (app, _, _pilot):
        app.state.environment = "production"
        app.state.functions.by_name = {"list": {"kind": "query"}, "add": {"kind": "mutation"}}
        app.production.demand("admin/call", {"fn": "list", "args": {}})
        for name in ("add", "unheard_of", None):
            with pytest.raises(AdminError, match="PRODUCTION is read-only here"):
                app.production.demand("admin/call", {"fn": name, "args": {}})
