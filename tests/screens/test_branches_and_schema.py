"""The Branches and Schema screens: what they show in two sizes, and what every key does."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.admin import AdminError
from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import AT, ScriptedAdmin, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
MAIN = {"name": "main", "is_current": True, "bytes": 5000, "of": None, "made_at": None,
        "made_head": None, "why": ""}  # fmt: skip
TRY = {"name": "try", "is_current": False, "bytes": 2_000_000, "of": "main", "made_at": AT,
       "made_head": 7, "why": "before migration"}  # fmt: skip
LIST = {"current": "main", "branches": [MAIN, TRY], "making": None, "failure": None}
SCHEMA = {
    "clients": 3, "counts_uses": True,
    "entities": [{
        "name": "Note",
        "fields": [{"name": "body", "kind": "str", "nullable": True, "default": "literal",
                    "words": ["private"]}],
        "indexes": [
            {"name": "by_body", "fields": ["body"], "unique": False, "is_declared": True,
             "uses": 1234},
            {"name": "by_time", "fields": ["time", "id"], "unique": True, "is_declared": True,
             "uses": 0},
        ],
    }],
    "plan": {"text": "  drop Note.title (lossy)\n  LOSES DATA: drop Note.title: 2 rows",
             "hash": "h1", "blockers": [], "resync": ["rename Note.a"], "needs_consent": True,
             "code": [{"words": "BREAKS: titles (app.py:31) orders by Note.title"}],
             "unread": [], "calls": [{"name": "add", "changes": ["takes no title any more"]}],
             "clients": {"connected": 3, "resync": 3, "kinds": 1, "subscriptions": [
                 {"entity": "Note", "fn": None, "where": '{"title":"\x1b[2J"}', "order": [],
                  "limit": 5, "include": [], "fate": "refused", "clients": 2,
                  "subscriptions": 2, "why": "Note has no field title"},
             ]}},
    "data": [{"name": "0001_x", "state": "edited"}, {"name": "0002_y", "state": "applied"}],
}  # fmt: skip


async def _go(app: Dashboard, admin: ScriptedAdmin, name: str, wanted: str, **more: Any) -> str:
    """Go to a screen once the dashboard is up, and wait for its rows."""
    admin.answers.setdefault("admin/branches", LIST)
    admin.answers.setdefault("admin/schema", SCHEMA)
    admin.say(status(branch="main", **more))
    await until(app, lambda text: "head 0" in text)
    app.action_pane(name)
    return await until(app, lambda text: wanted in text)


@pytest.mark.parametrize("size", SIZES)
async def test_branches_are_listed_with_the_one_in_use(size: tuple[int, int]) -> None:
    """By a word; sizes and where they came from; the name stands in the first line; it fits."""
    async with opened(size) as (app, admin, _):
        text = await _go(app, admin, "branches", "1/2")
        for word in ("● in use", "main", "try", "1.9 MiB", "c create", "⎇ main"):
            assert word in text, word
        assert ("before migration" in text) is (size[0] >= 200)
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)


async def test_create_switch_and_drop_ask_first() -> None:
    """A name is asked for; a drop wants it typed, a switch a yes; each says its command."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/branches"] = lambda given: {} if given else LIST
        await _go(app, admin, "branches", "1/2")
        await pilot.press("c")
        await _seen(app, "Create a branch")
        await pilot.press(*"mine", "enter")
        await _seen(app, "$ pylon branch create mine")
        assert ("admin/branches", {"name": "mine"}) in admin.asked
        await pilot.press("c")
        await _seen(app, "its name (enter: try-2)")
        await pilot.press("enter")
        await _seen(app, "$ pylon branch create try-2")
        assert ("admin/branches", {"name": "try-2"}) in admin.asked
        await pilot.press("x")
        await _seen(app, "main is in use")
        await pilot.press("j", "x")
        await _seen(app, "Go on with try?")
        admin.answers["admin/branches/try/switch"] = {"branch": "try", "before": "main"}
        await pilot.press("y")
        await _seen(app, "$ pylon branch switch try")
        assert ("admin/branches/try/switch", {"consent": False}) in admin.asked
        await pilot.press("D")
        await _seen(app, "Drop try and its rows?")
        await pilot.press(*"tri", "enter")
        await _seen(app, "that is not try")
        admin.answers["admin/branches/try/drop"] = {"dropped": "try"}
        await pilot.press("backspace", "y", "enter")
        await _seen(app, "$ pylon branch drop try")
        assert ("admin/branches/try/drop", {"confirm": "try"}) in admin.asked


async def test_production_wants_the_name_typed() -> None:
    """A switch there puts other data before everybody."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _go(app, admin, "branches", "1/2", environment="production")
        app.state.is_unlocked = True
        admin.answers["admin/branches/try/switch"] = {"branch": "try", "before": "main"}
        await pilot.press("j", "x")
        await _seen(app, "PRODUCTION: everybody sees try at once")
        await pilot.press(*"try", "enter")
        await _seen(app, "$ pylon branch switch try --consent")
        assert ("admin/branches/try/switch", {"consent": True}) in admin.asked


async def test_differences_go_from_counts_to_rows() -> None:
    """Only entities that differ; hostile text is shown without what steers a terminal."""
    async with opened((120, 30)) as (app, admin, pilot):
        counts = {"entities": [
            {"entity": "Note", "added": 1, "removed": 2, "changed": 3},
            {"entity": "Same", "added": 0, "removed": 0, "changed": 0},
        ]}  # fmt: skip
        row = {"id": "n1", "kind": "changed", "fields": ["body"], "before": {"body": NASTY},
               "after": {"body": "new"}}  # fmt: skip
        admin.answers["admin/branches-diff"] = lambda given: (
            {"rows": [row], "next": "n1"} if "entity" in given else counts
        )
        await _go(app, admin, "branches", "1/2")
        await pilot.press("j", "d")
        text = await _seen(app, "Note: +1 -2 ~3")
        assert "Same" not in text
        await pilot.press("enter")
        text = await _seen(app, "~ Note/n1", "→ new", "--after n1")
        assert "\x1b" not in text


async def test_a_branch_being_made_and_old_news_are_said() -> None:
    """How far the copy is; and that the list is old where the runtime does not answer."""
    async with opened() as (app, admin, _):
        making = {"name": "big", "phase": "copying", "done": 30, "total": 60}
        admin.answers["admin/branches"] = {**LIST, "making": making}
        await _go(app, admin, "branches", "big: 50% copied")
        del admin.answers["admin/branches"]
        admin.answers["admin/branches"] = AdminError("the runtime does not answer")
        await _seen(app, "STALE", "does not answer")


@pytest.mark.parametrize("size", SIZES)
async def test_the_schema_shows_uses_and_what_waits(size: tuple[int, int]) -> None:
    """Fields, indexes, an unused one by a word; the plan, who resyncs, an edited file; it fits."""
    async with opened(size) as (app, admin, _):
        await _go(app, admin, "schema", "1/3")
        text = await _seen(
            app, "index by_body", "1,234", "UNUSED", "A migration waits:", "LOSES DATA",
            "3 of 3 connected clients load anew: rename Note.a", "1 index unused",
            "BREAKS: titles (app.py:31)", "CALLERS: add takes no title any more",
        )  # fmt: skip
        assert "\x1b" not in text
        if size[0] >= 200:  # at 80 columns these are below, in what scrolls
            assert 'REFUSED: Note where {"title"' in text
            assert "0001_x: edited" in text
        assert "0002_y" not in text
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)


async def test_consent_is_to_the_plan_that_was_shown() -> None:
    """Its hash goes along; rows that stand against it are said, and nothing is asked."""
    async with opened() as (app, admin, pilot):
        await _go(app, admin, "schema", "1/3")
        admin.answers["admin/reload"] = {
            "ok": True, "generation": 2, "ms": 1.0, "mistakes": [], "plan": "", "migrated": [],
        }  # fmt: skip
        await pilot.press("a")
        await _seen(app, "Apply this migration?", "LOSES DATA")
        await pilot.press("y")
        await _seen(app, "generation 2")
        assert ("admin/reload", {"consent": True, "plan": "h1"}) in admin.asked
        blocked = {**SCHEMA["plan"], "blockers": ["x"]}  # type: ignore[dict-item]
        admin.answers["admin/schema"] = {**SCHEMA, "plan": blocked}
        await _seen(app, "rows stand against it")
        await pilot.press("a")
        await _seen(app, "mend them, or change app.py")
