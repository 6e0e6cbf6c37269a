"""Trying a function from the dashboard: its form, whom as, what comes of it, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Select, TextArea

from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from pylon.tui.widgets.form_row import Row
from tests.screens.fakes import ScriptedAdmin, argument, function, functions, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import _seen

SIZES = [(80, 24), (200, 50)]
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
PLACE = function(
    "place", argument("name", TEXT, "string"), argument("count", WHOLE, "number"),
    argument("express", {"type": "boolean"}, "boolean", default=False),
    argument("tone", {"enum": ["calm", "loud"]}, '"calm" | "loud"', default="calm"),
    argument("tags", {"type": "array"}, "string[]", default=[]),
)  # fmt: skip
SPELL = function(
    "spell", argument("name", TEXT, "string"), argument("token", TEXT, "string", default=""),
    kind="action", part="string",
)  # fmt: skip
HIDDEN = function("hidden", internal=True)
WRONG = AdminError("count must be an integer", answer={
    "code": "INVALID_ARGUMENT", "message": "count must be an integer",
    "details": {"field": "count",
                "problems": [{"field": "count", "message": "count must be an integer"}]},
})  # fmt: skip


class CalledAdmin(ScriptedAdmin):
    """A scripted runtime whose actions send what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: asyncio.Queue[Any] = asyncio.Queue()
        self.was_left = False

    async def call(
        self, name: str, args: dict[str, Any], user: str | None = None,
        on_part: Callable[[Any], None] | None = None,
    ) -> Any:  # fmt: skip
        """Answer as told; for an action send parts until None comes."""
        if name != "spell":
            return await super().call(name, args, user, on_part)
        self.asked.append(("admin/call", {"fn": name, "args": args, "as": user}))
        try:
            while (part := await self.parts.get()) is not None:
                assert on_part is not None
                on_part(part)
        except asyncio.CancelledError:
            self.was_left = True
            raise


@pytest.fixture(autouse=True)
def _called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.screens.test_dashboard.ScriptedAdmin", CalledAdmin)


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], row: int, **more: Any
) -> None:
    """Open the form of a function: 0 hidden, 1 place, 2 spell."""
    admin.say(status(**more), functions(HIDDEN, PLACE, SPELL))
    await until(app, lambda text: "head 0" in text)
    await pilot.press("5")
    await until(app, lambda text: "1/3" in text)
    await pilot.press(*["down"] * row, "t")
    if row:
        await _seen(app, "as *")


def _fill(app: Dashboard, **texts: str) -> None:
    """Write into lines of the form."""
    for row in app.screen.query("Row").results(Row):
        if row.name_ in texts:
            row.query_one(Input).value = texts[row.name_]


def _calls(admin: ScriptedAdmin) -> list[dict[str, Any]]:
    return [given for path, given in admin.asked if path == "admin/call"]


@pytest.mark.parametrize("size", SIZES)
async def test_a_form_is_filled_and_its_values_are_typed(size: tuple[int, int]) -> None:
    """Defaults stand there, required is marked, choices and JSON are what they are; enter runs."""
    async with opened(size) as (app, admin, pilot):
        admin.answers["admin/call"] = {"value": {"id": 7, "tags": ["x"]}}
        await _open(app, admin, pilot, 1)
        lines = grid(app)
        assert all(len(line) <= size[0] for line in lines)
        text = await _seen(app, "place(name: string", "name *", "count *", "calm", "false", "[]")
        assert "express *" not in text
        await pilot.press(*"tea", "tab", *"3")
        app.screen.query_one(TextArea).text = '["x"]'
        [_, tone] = app.screen.query(Select)
        tone.focus()
        await pilot.press("enter", "end", "enter")
        await _seen(app, "loud")
        await pilot.press("f5")
        await _seen(app, "✓ done in", "as system", '"id": 7,')
        assert _calls(admin) == [{"fn": "place", "as": None, "args": {
            "name": "tea", "count": 3, "express": False, "tone": "loud", "tags": ["x"],
        }}]  # fmt: skip
        await pilot.press("y")
        await _seen(app, 'JSON: {"id":7', "command: pylon call place", "curl: curl -sS")
        await pilot.press("enter")
        await _seen(app, "copied")
        await pilot.press("escape")
        await _seen(app, "P99 MS")
        await pilot.press("t")  # what was given stands there again
        await _seen(app, "tea", "loud", '["x"]')


async def test_what_is_wrong_stands_at_its_field() -> None:
    """The runtime's words at the field, and the cursor there; no JSON is never sent."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/call"] = WRONG
        await _open(app, admin, pilot, 1)
        app.screen.query_one(TextArea).text = "[1,"
        await pilot.press("f5")
        await _seen(app, "✗ tags is no JSON")
        assert _calls(admin) == []
        app.screen.query_one(TextArea).text = ""
        _fill(app, name="tea", count="x")
        await pilot.press("f5")
        await _seen(app, "✗ count must be an integer", "✗ INVALID_ARGUMENT after")
        (asked,) = _calls(admin)
        assert (asked["args"]["count"], "tags" in asked["args"]) == ("x", False)
        admin.answers["admin/call"] = {"value": None}
        await pilot.press("backspace", *"2", "enter")  # the cursor stands in that field
        await until(app, lambda text: "✓ done" in text and "must be" not in text)
        assert _calls(admin)[-1]["args"]["count"] == 2


async def test_what_is_pasted_never_steers_the_terminal() -> None:
    """A line takes one line without control characters and says so; JSON takes them as escapes."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/call"] = {"value": 1}
        await _open(app, admin, pilot, 1)
        app.screen.focused.post_message(events.Paste("te\x1b[2Ja\u202e\nmore"))  # type: ignore[union-attr]
        await _seen(app, "te[2Ja", "a line takes one line")
        area = app.screen.query_one(TextArea)
        area.text = ""
        area.focus()
        area.post_message(events.Paste('["x\u202e\x9b"]'))
        await _seen(app, "u202e")
        await pilot.press("f5")
        await until(app, lambda _: bool(_calls(admin)))
        args = _calls(admin)[0]["args"]
        assert (args["name"], args["tags"]) == ("te[2Ja", ["x\u202e\x9b"])


async def test_parts_show_as_they_come_and_esc_cancels() -> None:
    """A stream grows on the screen; esc ends it and keeps what came; another esc leaves."""
    async with opened() as (app, admin, pilot):
        assert isinstance(admin, CalledAdmin)
        await _open(app, admin, pilot, 2)
        await pilot.press(*"ada", "f5")
        await _seen(app, "◔ running for", "esc cancels")
        for number in range(60):
            admin.parts.put_nowait(f"part-{number}")
        await _seen(app, '· "part-59"', "60 parts")
        await pilot.press("f5")
        await _seen(app, "it runs: esc ends that first")
        await pilot.press("escape")
        await _seen(app, "- cancelled after", '· "part-59"', "what it wrote before stays")
        assert admin.was_left
        await pilot.press("f5")
        admin.parts.put_nowait("again")
        admin.parts.put_nowait(None)
        await until(app, lambda text: "✓ done" in text and "again" in text and "part-" not in text)
        await pilot.press("escape")
        await _seen(app, "P99 MS")


async def test_it_is_called_as_whomever_one_says() -> None:
    """Anonymous, an address, the system; who is not there is said at that line."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/call"] = AdminError("there is no account bo", answer={
            "code": "NOT_FOUND", "message": "there is no account bo", "details": {"field": "as"}
        })  # fmt: skip
        await _open(app, admin, pilot, 1)
        _fill(app, **{"as": "bo"}, name="tea", count="1")
        await pilot.press("f5")
        text = await _seen(app, "✗ there is no account bo")
        assert text.index("as *") < text.index("✗ there is no") < text.index("name *")
        admin.answers["admin/call"] = {"value": 1}
        await pilot.press("ctrl+u", *"ano", "right", "enter")
        await _seen(app, "✓ done in", "as anonymous")
        assert [one["as"] for one in _calls(admin)] == ["bo", "anonymous"]
        await pilot.press("escape", "t")
        await _seen(app, "anonymous")


async def test_production_asks_before_anything_is_written() -> None:
    """Nobody is proposed there; the question names function and caller; n calls nothing."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/call"] = {"value": 1}
        await _open(app, admin, pilot, 1, environment="production")
        await pilot.press("f5")
        await _seen(app, "✗ whom as?")
        _fill(app, **{"as": "system"}, name="tea", count="1")
        await pilot.press("enter")
        await _seen(app, "This is PRODUCTION.", "Call mutation place as the system, past all")
        await pilot.press("n")
        await until(app, lambda text: "PRODUCTION." not in text)
        assert _calls(admin) == []
        await pilot.press("f5", "y")
        await _seen(app, "✓ done in")
        assert len(_calls(admin)) == 1


async def test_what_nobody_may_call_has_no_form() -> None:
    """It says why instead."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, 0)
        await _seen(app, "hidden is internal: no call from outside")
        assert "as *" not in shown(app)


async def test_what_was_typed_is_kept_whichever_way_one_leaves() -> None:
    """A screen's key leaves, too; each function has a draft of its own; no secret stays."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, 1)
        _fill(app, **{"as": "ada@example.com"}, name="tea", count="3")
        app.screen.query_one(TextArea).text = '["x"]'
        app.screen.query(Select).first().focus()
        await pilot.press("2")
        await until(app, lambda text: "  Log  " in text.splitlines()[0])
        await pilot.press("5", "down", "t")
        await until(app, lambda text: "spell(" in text)
        _fill(app, name="hex", token="tk-123")
        app.screen.query_one("#answer").focus()
        await pilot.press("4", "5", "t")
        await until(app, lambda text: "spell(" in text and "hex" in text)
        assert "tk-123" not in shown(app)
        assert "ada@" not in shown(app)  # she was for the other one, and was not called as
        await pilot.press("escape", "up", "t")
        await until(app, lambda text: "place(" in text)
        await _seen(app, "ada@example.com", "tea", '["x"]')
        assert _calls(admin) == []


async def _press_in_footer(app: Dashboard, pilot: Pilot[int], word: str) -> None:
    await until(app, lambda _: word in grid(app)[-1])
    await pilot.click("Footer", offset=(grid(app)[-1].index(word), 0))


async def test_the_mouse_is_enough() -> None:
    """A click opens, the footer's keys try and run."""
    async with opened((100, 30)) as (app, admin, pilot):
        admin.answers["admin/functions/place"] = {
            **PLACE, "source": None, "last_calls": [], "slow_calls": []
        }  # fmt: skip
        admin.answers["admin/call"] = {"value": 1}
        await _open(app, admin, pilot, 0)
        await pilot.click("#functionlist", offset=(3, 2))
        await pilot.click("#functionlist", offset=(3, 2))
        await _seen(app, "last calls: none")
        await _press_in_footer(app, pilot, "Try it")
        await _seen(app, "name *")
        await _press_in_footer(app, pilot, "Run")
        await _seen(app, "✓ done in")
