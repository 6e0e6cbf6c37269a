"""The Functions screen: how each does, all about one, and what came last."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import AT, ScriptedAdmin, argument, call, function, functions, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
FAULT = {"at": AT, "code": "INTERNAL", "message": "post failed; the log has it"}
POST = function(
    "post", argument("text", {"type": "string"}, "string"),
    argument("tone", {"enum": ["calm", "loud"]}, '"calm" | "loud"', default="calm"),
    calls=7, errors=2, refused=1, per_minute=3, p50_ms=1.25, p99_ms=180.0, last_error=FAULT,
    doc="Say something.", rate={"calls": 20, "seconds": 60.0}, allow="args.text != null",
    allow_in_words="whoever gives a text",
)  # fmt: skip
FIND = function("find", kind="query", timeout_s=None, place="search.py:3")
LATER = function("later", kind="job", internal=True, queue="default")
WHOLE = {
    **POST,
    "live": {"followers": 1_250, "runs": 40, "useful": 12, "failed": 1, "told": 9_000,
             "told_bytes": 1, "p50_ms": 1.5, "p99_ms": 60.0, "ms": 80.0, "rows_read": 4_000,
             "statements": 80, "last_at": AT},
    "followed": [{
        "function": "post", "args": '{"room":"a"}', "followers": 1_249, "runs": 39, "useful": 11,
        "failed": 0, "told": 8_999, "told_bytes": 1, "ms": 79.5, "rows_read": 3_999,
        "statements": 79, "last_at": AT, "kept_bytes": 2_048, "is_waiting": False,
        "users": ["ada@example.com", "bob@example.com", "cid@example.com", "dan@example.com"],
    }],
    "source": "@app.mutation\ndef post(ctx, text):\n    ...\n",
    "last_calls": [
        call(9, name="post", rows_read=41, user="grace@example.com"),
        call(8, name="post", outcome="rejected", code="CONFLICT", error="taken"),
    ],
    "slow_calls": [{
        **call(5, name="post", run_ms=321.0, statements=40, followers=1_249),
        "slowest": [{"sql": 'SELECT * FROM "Message" WHERE "text" = ?', "count": 40, "rows": 1200,
                     "ms": 310.5, "plan": ["SCAN Message", "USE TEMP B-TREE FOR ORDER BY"]}],
    }],
}  # fmt: skip


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], *found: dict[str, Any], **more: Any
) -> None:
    """Open the screen with these functions."""
    admin.answers.setdefault("admin/functions/post", WHOLE)
    admin.say(
        status(**more), functions(*(found or (FIND, LATER, POST))),
        {"type": "calls", "calls": [call(1, name="post"),
                                    call(2, name="find", outcome="rejected", code="CONFLICT")]},
    )  # fmt: skip
    await until(app, lambda text: "head 0" in text)
    await pilot.press("5")
    await until(app, lambda text: "P99 MS" in text and "1/" in text and "2/2" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_each_function_is_seen_with_its_figures(size: tuple[int, int]) -> None:
    """Kind, calls a minute, errors, percentiles, last error; calls below; ? has the keys."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(
            app, "Functions", "mutation", "query", "✗2", "1.2", "180", "INTERN", "✓ done",
            "✗ rejected", "t tries it",
        )  # fmt: skip
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert ("whoever gives a text" in text) is (size[0] >= 200)
        line = next(one for one in lines if one.startswith(" post"))
        assert line.split()[:4] == ["post", "mutation", "3", "✗2" if size[0] < 96 else "7"]
        await pilot.press("question_mark")
        text = await _seen(app, "On Functions", "Try it: a form")
        await pilot.press("escape", "2")
        await _seen(app, "Log")


async def test_counts_move_and_old_ones_are_called_old() -> None:
    """What the stream tells of a function shows, a new one comes; silence is said."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.say({"type": "timings", "timings": [
            {**{name: POST[name] for name in POST if name not in ("signature", "kind")},
             "per_minute": 999, "errors": 77},
            {**function("pylon.insert", calls=5, per_minute=5)},
        ]})  # fmt: skip
        await _seen(app, "999", "✗77", "pylon.insert")
        await until(app, lambda text: "STALE" not in text)
        admin.repeats = False
        await _seen(app, "STALE: counts are")
        admin.repeats = True
        admin.say(status(pid=78), functions(FIND))
        await until(app, lambda text: "✗77" not in text and "1/1" in text and "STALE" not in text)


async def test_functions_are_filtered_and_ordered() -> None:
    """Words, kind:, a !; esc clears; s orders by the next figure; tab goes over to the calls."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        await pilot.press("slash", *"kind:query", "enter")
        await until(app, lambda text: "1/1 of 3" in text and "1/1 of 2" in text)
        await pilot.press("escape")
        await until(app, lambda text: "1/3" in text)
        await pilot.press("slash", *"!the log has", "enter")
        await until(app, lambda text: "1/2 of 3" in text)
        admin.say(status())  # a slow machine must not look like a silent runtime
        await pilot.press("escape", "s")
        await _seen(app, "order: calls/min")
        rows = [line for line in shown(app).splitlines() if line.startswith((" post", " find"))]
        assert rows[0].startswith(" post")
        await pilot.press("tab", "y")
        await _seen(app, "Copy", "name: find")
        await pilot.press("escape", "enter")
        await _seen(app, "call 2 of find", "CONFLICT")


async def test_one_function_is_shown_whole_and_lives() -> None:
    """Signature, place, who may call, bounds, last calls, slow statements with plans; it moves."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        await pilot.press("G", "enter")
        await _seen(
            app, "post(text: string, tone:", "Say something.", "app.py:12", "whoever gives a text",
            "args.text != null", "20/minute for each caller · stopped after 0.2 s",
            "3/min · 7 calls · 2 errors", "1,250 followers · 40 runs, 12 with news, 1 failed",
            "followed calls", "1249 39 11 8999", "ada@example.co",
            "text: string · required", 'default "calm"',
        )  # fmt: skip
        keys = ("Back", "Try it", "Copy")
        await until(app, lambda _: all(word in grid(app)[-1] for word in keys))
        await pilot.press("G")
        await _seen(
            app,
            "310 ms, 40 times, 1,200 rows",
            "for 1,249 followers",
            "! SCAN Message",
            "def post(ctx",
        )
        await pilot.press("up")
        assert "✗ CONFLICT" in shown(app)
        await pilot.press("g")
        admin.answers["admin/functions/post"] = {**WHOLE, "calls": 4_321}
        await _seen(app, "4,321 calls")
        admin.answers["admin/functions/post"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: not read for", "does not answer: refused")
        await pilot.press("y")
        await _seen(app, "place: app.py:12", "last error: INTERNAL")
        await pilot.press("escape", "4")
        await _seen(app, "reading …")
        admin.say({"type": "clients", "clients": []})
        await _seen(app, "Nobody is connected")


async def test_hostile_functions_are_text() -> None:
    """Markup is shown, control bytes are not: in lists, on the screen of one, in the form (I99)."""
    nasty = function(
        "post", argument("text", {"type": "string"}, NASTY, default=NASTY),
        argument("tone", {"enum": [NASTY]}, NASTY, default=NASTY), argument("more", {}, NASTY),
        signature=NASTY, doc=NASTY, allow=NASTY, allow_in_words=NASTY, place=NASTY, part=NASTY,
        last_error={"at": AT, "code": NASTY, "message": NASTY},
        followed=[{**WHOLE["followed"][0], "args": NASTY, "users": [NASTY] * 4}],
    )  # fmt: skip
    slow = {**call(1), "slowest": [{"sql": NASTY, "count": 1, "rows": 1, "ms": 1, "plan": [NASTY]}]}
    async with opened((120, 60)) as (app, admin, pilot):
        admin.answers["admin/functions/post"] = {
            **nasty, "source": NASTY, "slow_calls": [slow],
            "last_calls": [call(2, user=NASTY, cause=NASTY, code=NASTY, error=NASTY)],
        }  # fmt: skip
        admin.answers["admin/call"] = AdminError(NASTY, answer={
            "code": NASTY, "hint": NASTY, "message": NASTY,
            "details": {"problems": [{"field": "text", "message": NASTY}], NASTY: NASTY},
        })  # fmt: skip
        await _open(app, admin, pilot, nasty)
        for keys, word in (
            ([], "P99"),
            (["enter"], "source"),
            (["t"], "as *"),
            (["f5"], "✗ [red]"),
        ):
            await pilot.press(*keys)
            text = await _seen(app, "[red]x[/red]", word)
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys


async def test_n_goes_to_the_last_call_that_went_wrong_and_to_those_before_by_the_other() -> None:
    """From any screen; N goes up from there, to functions with errors, and round."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        calls = [call(at, outcome="failed" if at in (3, 5) else "done") for at in range(3, 8)]
        admin.say({"type": "calls", "calls": calls})
        await until(app, lambda text: "7/7" in text)
        await pilot.press("2")
        for key, place in (("n", "5/7"), ("N", "3/7"), ("N", "2/7"), ("N", "3/3"), ("N", "5/7")):
            await pilot.press(key)
            await until(app, lambda text, place=place: place in text)  # type: ignore[misc]
        await pilot.press("enter")
        await until(app, lambda text: "call 5 of" in text)


async def test_what_lies_above_a_screen_is_not_taken_for_the_row_below() -> None:
    """On a function `w`, `+` and ctrl+o say what they are for; on its form `y` has nothing yet."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, POST)
        await pilot.press("enter")
        await until(app, lambda text: "may call" in text)
        for key, words in (("w", "w asks about"), ("plus", "that is for the"),
                           ("ctrl+o", "that is for the"), ("]", "one list")):  # fmt: skip
            app.clear_notifications()
            await pilot.press(key)
            await until(app, lambda text, words=words: words in text)  # type: ignore[misc]
            assert len(app.screen_stack) == 2
        assert app.panes["functions"].zoomed is None
        await pilot.press("t")
        await until(app, lambda text: "f5 or enter" in text)
        app.screen.query_one("#answer").focus()
        await pilot.press("y")
        await until(app, lambda text: "nothing to copy" in text)
        assert app.clipboard == ""
