"""The Workflows screen: runs and what they wait for, one run with its journal, and every key."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminError
from pylon.testing.grid import grid
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import (
    ScriptedAdmin,
    about_run,
    changes,
    figure,
    record,
    run,
    runs,
    status,
    wait,
)
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
FAR = "2999-01-01T00:00:00.000Z"
WAITS = run(1, key="order-1", waits=[wait("2", "wait", "packed", until=FAR),
                                     wait("3", "sleep", "sleep")])  # fmt: skip
SLEEPS = run(2, name="remind", waits=[wait("1", "sleep", "sleep", until=FAR)])
PARENT = run(3, waits=[wait("3", "child", "ships", run="run-2")])
TRIES = run(4, name="tries", waits=[wait("1", "step", "charge", until=FAR, attempt=3)])
FAILED = run(5, state="failed", ended_at="2026-11-24T12:01:00.000Z", error="SOLD_OUT: no tea")
SAID = 'step 2: the run recorded the step "mail" (app.py:7), and its code asks for a sleep'
DIVERGED = run(6, state="diverged", error=f"WORKFLOW_DIVERGED: {SAID}")
ALL = (WAITS, SLEEPS, PARENT, TRIES, FAILED, DIVERGED)
FIGURES = (figure("fulfil", parked=2, failed=1, diverged=1), figure("remind", parked=1),
           figure("tries", parked=1, is_declared=False))  # fmt: skip
MISFIT = about_run(
    DIVERGED, record("1", "first"), record("2", "mail"),
    details={
        "code": "WORKFLOW_DIVERGED", "message": SAID, "is_refusal": False,
        "hint": "put the code back",
        "details": {"step": "2", "expected": 'the step "mail"', "got": "a sleep",
                    "place": "app.py:9"},
    },
)  # fmt: skip
WHOLE = about_run(
    PARENT,
    record("1", "reserve", result={"left": 7}, args={"item": "tea"}),
    record("2.1.1", "mail", ended_at="2026-11-24T12:00:05.000Z"),
    record("2.2.1", "bill", error={"code": "SOLD_OUT", "message": "no tea"}),
    record("3", "ships", kind="child", seq=None, ended_at=None, run="run-2"),
    args={"orderId": "o-1"}, signals=[{"event": "early", "data": {"by": 1}, "at": FAR}],
)  # fmt: skip


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], *found: dict[str, Any], **more: Any
) -> None:
    """Open the screen with these runs."""
    admin.answers.setdefault("admin/workflows", runs(*(found or ALL), figures=FIGURES))
    admin.say(status(**more), {"type": "workflows", "runs": [], "workflows": list(FIGURES)})
    await until(app, lambda text: "head 0" in text)
    await pilot.press("7")
    await until(app, lambda text: "DIVERGED" in text and "WAITS FOR" in text and "1/" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_runs_and_what_they_wait_for_are_shown(size: tuple[int, int]) -> None:
    """Timers, signals, children, tries, errors, counts by state; columns fit; ? has the keys."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(
            app, "Workflows", "◔ parked", "signal packed, 3", "+1", "sleep, 3",
            "child ships …run-2", "step charge, try 4", "✗ failed", "SOLD_OUT: no tea",
            "! diverged", "1/6", "gone",
        )  # fmt: skip
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert ("run-5" in text) is (size[0] >= 200)
        await pilot.press("question_mark")
        text = await _seen(app, "On Workflows", "Send it a signal")
        assert text.index("On Workflows") < text.index("Rerun it")
        await pilot.press("escape", "2")
        await _seen(app, "Log")


async def test_times_are_those_of_a_warped_clock() -> None:
    """What is left of a timer is counted from the time that the app lives in."""
    clock = {"now": "2998-12-31T23:00:00.000Z", "offset_ms": 0, "journey": None}
    async with opened((140, 24)) as (app, admin, pilot):
        offset = 32_472_144_000_000 - app.clock.now_ms() - 3_600_000 * 2
        await _open(app, admin, pilot, SLEEPS, clock={**clock, "offset_ms": offset})
        await _seen(app, "sleep, 2 h left")


async def test_the_runtime_searches_and_a_workflow_narrows_to_its_runs() -> None:
    """What is typed is asked; enter on a workflow, or a click, fills the line in; esc clears."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/workflows"] = lambda given: runs(
            *((SLEEPS,) if given["search"] == "name:remind" else (FAILED,) if
              given["search"] == "state:fa" else ALL), figures=FIGURES,
        )  # fmt: skip
        await _open(app, admin, pilot)
        await pilot.press("slash", *"state:fa", "enter")
        await until(app, lambda text: "1/1" in text and "SOLD_OUT" in text)
        await pilot.press("escape")
        await until(app, lambda text: "1/6" in text)
        await pilot.press("tab", "down", "enter")
        await until(app, lambda text: "name:remind" in text and "1/1" in text)
        await pilot.press("escape")
        await until(app, lambda text: "1/6" in text)
        await pilot.click("#flows", offset=(3, 2))
        await until(app, lambda text: "name:remind" in text and "1/1" in text)


async def test_runs_are_signalled_cancelled_retried_and_rerun() -> None:
    """Each asks first and names the run; the signal's data is JSON; the command stands there."""
    async with opened() as (app, admin, pilot):
        for verb, made in (("signal", "running"), ("cancel", "cancelled"), ("retry", "running")):
            admin.answers[f"admin/workflows/run-1/{verb}"] = {"id": "run-1", "state": made}
        admin.answers["admin/workflows/run-1/rerun"] = {"id": "run-9", "state": "running"}
        await _open(app, admin, pilot)
        await pilot.press("s")
        await _seen(app, "Signal fulfil order-1 …run-1", "packed")
        await pilot.press("enter", *"yes", "enter")
        await _seen(app, "not JSON", "a text stands in")
        await pilot.press("backspace", "backspace", "backspace", *'{"by":1}', "enter")
        await _seen(app, 'Send packed {"by":1} to fulfil order-1')
        assert "admin/workflows/run-1/signal" not in [path for path, _ in admin.asked]
        await pilot.press("y")
        await _seen(
            app, "✓ signal fulfil order-1", "it is running", "$ pylon workflows signal run-1"
        )
        assert ("admin/workflows/run-1/signal", {"event": "packed", "data": {"by": 1}}) in (
            admin.asked
        )
        for key, question, said in (
            ("c", "Cancel fulfil order-1 …run-1, with its children?", "it is cancelled"),
            ("r", "Retry fulfil order-1 …run-1 now?", "$ pylon workflows retry run-1"),
            ("e", "Rerun fulfil order-1 …run-1 from its beginning?", "a new run run-9 is running"),
        ):
            asked = len([one for one in admin.asked if one[0].startswith("admin/workflows/")])
            await pilot.press(key)
            await _seen(app, question)
            now = len([one for one in admin.asked if one[0].startswith("admin/workflows/")])
            assert now == asked, "it asks before"
            await pilot.press("y")
            await _seen(app, said)
        await pilot.press("down", "down", "down", "down", "s")
        await _seen(app, "it has ended: it is failed")


@pytest.mark.parametrize("size", SIZES)
async def test_one_run_is_shown_whole_with_its_timeline(size: tuple[int, int]) -> None:
    """Steps in order, gathers with their branches, values, early signals; over to a child, back."""
    async with opened(size) as (app, admin, pilot):
        admin.answers |= {
            "admin/workflows/run-3": WHOLE,
            "admin/workflows/run-3/rerun": {"id": "run-9", "state": "running"},
            "admin/workflows/run-2": about_run(SLEEPS, record("1", "only"), parent="run-3"),
        }
        await _open(app, admin, pilot, PARENT)
        await pilot.press("enter")
        text = await _seen(
            app, "✓ reserve", "gather of 2", "2 of 2 done", "✗ bill", "SOLD_OUT: no tea",
            "◔ child ships", "waits 3: child ships", 'signal early {"by":1}, not taken yet',
            "5 s", "1/5",
        )  # fmt: skip
        order = [text.index(one) for one in ("✓ reserve", "gather of 2", "✓ mail", "✗ bill")]
        assert order == sorted(order)
        assert all(len(line) <= size[0] for line in grid(app))
        assert ("━" in text.partition("waits")[0]) is (size[0] >= 150)
        assert all(word in grid(app)[-1] for word in ("Back", "Signal", "Rerun", "Values"))
        await pilot.press("enter")
        await _seen(app, "step 1", "app.py:7", '"left": 7', '"item": "tea"')
        await pilot.press("escape", "v")
        await _seen(app, "Journal of fulfil …run-3")
        await pilot.press("G")
        await _seen(app, '"orderId": "o-1"')
        await pilot.press("escape", "down", "down", "down", "e")
        await _seen(app, "Rerun fulfil …run-3 from step 2.2.1?")
        await pilot.press("y")
        await _seen(app, "$ pylon workflows rerun run-3 --from 2.2.1")
        assert ("admin/workflows/run-3/rerun", {"from": "2.2.1"}) in admin.asked
        await pilot.press("G", "enter")
        await _seen(app, "remind run-2", "parent run-3")
        await pilot.press("backspace")
        await _seen(app, "fulfil run-3", "5/5")
        await pilot.press("enter", "2")
        admin.say(changes())
        await _seen(app, "No change yet")
        assert len(app.screen_stack) == 1


async def test_what_fits_no_more_is_shown_with_both_sides() -> None:
    """What was recorded where, what is asked for where; an error has its traceback."""
    async with opened() as (app, admin, pilot):
        admin.answers |= {
            "admin/workflows/run-6": MISFIT,
            "admin/workflows/run-5": about_run(FAILED, traceback='File "app.py", line 7\n  boom()'),
        }
        await _open(app, admin, pilot, DIVERGED, FAILED)
        await pilot.press("enter")
        await _seen(
            app, 'recorded the step "mail" at app.py:7', "code asks a sleep at app.py:9",
            "put the code back", "! mail",
        )  # fmt: skip
        await pilot.press("escape", "down", "enter")
        await _seen(app, "SOLD_OUT: no tea")
        await pilot.press("tab", "G")
        await _seen(app, 'File "app.py", line 7', "boom()")


async def test_a_run_lives_while_one_looks_and_old_news_are_called_old() -> None:
    """What is recorded comes into sight; without news for two seconds it says so, and why."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/workflows/run-2"] = about_run(SLEEPS)
        await _open(app, admin, pilot, SLEEPS)
        await pilot.press("enter")
        await _seen(app, "Nothing is recorded yet.")
        admin.answers["admin/workflows/run-2"] = about_run(SLEEPS, record("1", "newer"))
        await _seen(app, "✓ newer")
        admin.answers["admin/workflows/run-2"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: not read for", "does not answer: refused")
        await pilot.press("escape")
        admin.answers["admin/workflows"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: workflows were read", "does not answer")


async def test_hostile_runs_are_text() -> None:
    """Markup is shown, control bytes are not: in lists, questions, journals and notices (I99)."""
    nasty = run(1, name=NASTY, key=NASTY, user=NASTY, error=NASTY, state="diverged", cause=NASTY,
                waits=[wait(NASTY, "wait", NASTY)])  # fmt: skip
    whole = about_run(
        nasty, record("1", NASTY, result={NASTY: NASTY}, args=NASTY, place=NASTY, fn=NASTY),
        args={NASTY: NASTY}, traceback=NASTY,
        details={"message": NASTY, "hint": NASTY,
                 "details": {"step": "1", "expected": NASTY, "got": NASTY, "place": NASTY}},
        signals=[{"event": NASTY, "data": NASTY, "at": FAR}],
    )  # fmt: skip
    async with opened((120, 40)) as (app, admin, pilot):
        admin.answers |= {
            "admin/workflows": runs(nasty, figures=(figure(NASTY),)),
            "admin/workflows/run-1": whole, "admin/workflows/run-1/retry": AdminError(NASTY),
        }  # fmt: skip
        await _open(app, admin, pilot)
        for keys in (["s"], ["escape", "r"], ["y"], ["enter"], ["enter"], ["escape", "v"],
                     ["escape", "y"], ["escape", "e"]):  # fmt: skip
            await pilot.press(*keys)
            text = await _seen(app, "[red]x[/red]")
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys


async def test_production_is_said_and_reruns_nothing() -> None:
    """The question names it; e says that only development reruns."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, environment="production")
        app.state.is_unlocked = True
        await pilot.press("e")
        await _seen(app, "only `pylon dev` reruns")
        await pilot.press("c")
        await _seen(app, "This is PRODUCTION.", "Cancel fulfil order-1")
