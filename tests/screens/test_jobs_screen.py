"""The Jobs screen: queues, throughput, slots and jobs, and what every key does to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.pilot import Pilot

from pylon.client.admin import AdminError
from pylon.testing.grid import grid, shown
from pylon.tui.dashboard import Dashboard
from tests.screens.fakes import AT, ScriptedAdmin, job, jobs, queue, queues, status
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
DEAD = job(1, state="dead", error="ValueError: no such parcel", attempt=3, attempts=3)
RUNS = job(2, name="resize", state="running", progress=0.4, progress_text="resizing", ended_at=None)
WAITS = job(3, name="remind", state="scheduled", due_at="2999-01-01T00:00:00.000Z", ended_at=None,
            started_at=None, attempt=0, queue="mail")  # fmt: skip
TICK = {"name": "tick", "schedule": "*/5 * * * *", "tz": "UTC", "queue": "default",
        "next": "2999-01-01T00:05:00.000Z"}  # fmt: skip
QUEUES = (
    queue("default", running=1, dead=1, completed=7),
    queue("mail", scheduled=1, paused_at=AT, per_second=10.0),
)


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], *found: dict[str, Any], **more: Any
) -> None:
    """Open the screen with these jobs."""
    admin.answers.setdefault("admin/jobs", jobs(*(found or (DEAD, RUNS, WAITS))))
    admin.say(status(**more), queues(*QUEUES, schedules=(TICK,)))
    await until(app, lambda text: "head 0" in text)
    await pilot.press("6")
    await until(app, lambda text: "QUEUE" in text and "TRY" in text and "1/" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_queues_jobs_and_slots_are_shown(size: tuple[int, int]) -> None:
    """Counts by state, what is paused, progress, errors, the next slot; columns fit; ? has keys."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(
            app, "Jobs", "● open", "⏸ paused", "1/10", "10/s", "✗ dead", "ValueError: no such",
            "● running", "████░░░░░░ 40% resiz", "◔ scheduled", "next slot: tick 01-01 00:05Z",
            "done/s", "3/3", "1/3",
        )  # fmt: skip
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert ("job-1" in text) is (size[0] >= 200)
        await pilot.press("question_mark")
        text = await _seen(app, "On Jobs", "Retry it")
        assert text.index("On Jobs") < text.index("Pause its queue")
        await pilot.press("escape", "s")
        await _seen(app, "Schedules", "*/5 * * * *", "UTC · queue default")
        await pilot.press("escape", "2")
        await _seen(app, "Log")


async def test_the_runtime_searches_and_a_queue_narrows_to_its_jobs() -> None:
    """What is typed is asked; enter on a queue, or a click, fills the line in; esc clears."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/jobs"] = lambda given: (
            jobs(WAITS) if given["search"] == "queue:mail"
            else jobs(DEAD) if given["search"] == "state:de" else jobs(DEAD, RUNS, WAITS)
        )  # fmt: skip
        await _open(app, admin, pilot)
        await pilot.press("slash", *"state:de", "enter")
        await until(app, lambda text: "1/1" in text and "resize" not in text)
        await pilot.press("escape")
        await until(app, lambda text: "1/3" in text)
        await pilot.press("tab", "down", "enter")
        await until(app, lambda text: "queue:mail" in text and "1/1" in text and "remind" in text)
        await pilot.press("escape")
        await until(app, lambda text: "3/3" in text)
        await pilot.click("#queues", offset=(3, 2))
        await until(app, lambda text: "queue:mail" in text and "1/1" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_jobs_are_retried_cancelled_and_queues_held(size: tuple[int, int]) -> None:
    """r runs again, c asks, P asks and resumes without, A names the queue and how many."""
    async with opened(size) as (app, admin, pilot):
        admin.answers |= {
            "admin/jobs/job-1/retry": {"state": "available"},
            "admin/jobs/job-2/cancel": {"state": "cancelled"},
            "admin/jobs/retry": {"retried": 1, "dead": 1},
            "admin/queues/default/pause": {}, "admin/queues/mail/resume": {},
        }  # fmt: skip
        await _open(app, admin, pilot)
        await pilot.press("r")
        await _seen(app, "✓ retry ship", "it is available", "$ pylon jobs retry job-1")
        await pilot.press("c")
        await _seen(app, "it has ended: it is dead")
        await pilot.press("A")
        await _seen(app, "Run 1 dead job of queue default again")
        await pilot.press("n", "A", "y")
        await _seen(app, "1 of 1 dead jobs", "$ pylon jobs retry --all --queue default")
        await pilot.press("down", "r")
        await _seen(app, "it is running: only dead, cancelled and scheduled")
        await pilot.press("c")
        await _seen(app, "Cancel resize job-2?", "stores nothing more")
        assert "admin/jobs/job-2/cancel" not in [path for path, _ in admin.asked]
        await pilot.press("y")
        await _seen(app, "✓ cancel resize", "it is cancelled")
        await pilot.press("P")
        await _seen(app, "Pause queue default?", "over restarts too")
        await pilot.press("y")
        await _seen(app, "$ pylon jobs pause default")
        await pilot.press("down", "P")  # the queue of that job is paused
        await _seen(app, "$ pylon jobs resume mail")
        assert ("admin/jobs/retry", {"queue": "default"}) in admin.asked
        await pilot.press("y")
        await _seen(app, "command: pylon jobs show job-3")


@pytest.mark.parametrize("size", SIZES)
async def test_one_job_is_shown_whole_and_lives(size: tuple[int, int]) -> None:
    """Arguments, error, traceback, cause and whose authority; progress moves while one looks."""
    whole = {
        **RUNS, "id": "job-1", "args": {"orderId": "o-1"}, "result": None, "lease_until": AT,
        "error": "ValueError: before", "traceback": 'File "app.py", line 7\n  boom()\n',
        "email": "ada@example.com", "cause": "http:place",
    }  # fmt: skip
    async with opened(size) as (app, admin, pilot):
        admin.answers["admin/jobs/job-1"] = whole
        await _open(app, admin, pilot)
        await pilot.press("enter")
        await _seen(
            app, "ada@example.com (u-ada)", "http:place", '{"orderId":"o-1"}', "attempt 1 of 11",
            "ValueError: before", "40% resizing",
        )  # fmt: skip
        assert all(word in grid(app)[-1] for word in ("Back", "Retry", "Cancel", "Copy"))
        assert "Palette" not in grid(app)[-1]
        await pilot.press("G")
        await _seen(app, 'File "app.py", line 7')
        await pilot.press("g")
        admin.answers["admin/jobs/job-1"] = {**whole, "progress": 0.9, "progress_text": "cropping"}
        await _seen(app, "90% cropping")
        await pilot.press("y")
        await _seen(app, "id: job-1", "traceback: File")
        await pilot.press("escape", "c")
        await _seen(app, "Cancel resize job-1?")
        await pilot.press("n", "escape")
        await _seen(app, "next slot")


async def test_throughput_moves_and_old_numbers_are_called_old() -> None:
    """The rates come of what has ended; without news for two seconds it says so, and why."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        for count in (0, 500, 1_000, 1_500):
            admin.say(status(), queues(*QUEUES, version=count, completed=count, failed=count // 10))
            await asyncio.sleep(0.5)
        await until(app, lambda text: "█" in text and " 0.0 done/s" not in text)
        admin.answers["admin/jobs"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: queues are", "does not answer")
        assert "ship" in shown(app)


async def test_more_are_read_as_the_cursor_comes_near_the_end() -> None:
    """Two hundred at first, a thousand at most; what is left out is said."""
    everything = [job(n) for n in range(5_000)]

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        return jobs(*everything[: given["limit"]], following=7)

    async with opened() as (app, admin, pilot):
        admin.answers["admin/jobs"] = answer
        admin.say(status(), queues(queue("default", completed=5_000)))
        await until(app, lambda text: "head 0" in text)
        await pilot.press("6")
        await _seen(app, "1/200 of 5000")
        for rows in (400, 600, 800, 1_000):
            await pilot.press("G")
            await _seen(app, f"/{rows} of 5000")
        assert max(given["limit"] for path, given in admin.asked if path == "admin/jobs") == 1_000


async def test_hostile_jobs_are_text() -> None:
    """Markup is shown, control bytes are not: in lists, questions, details and notices (I99)."""
    nasty = {
        **job(1, name=NASTY, queue="default", state="dead", error=NASTY, user=NASTY, cause=NASTY,
              key=NASTY),
        "args": {NASTY: NASTY}, "traceback": NASTY, "email": NASTY,
    }  # fmt: skip
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/jobs/job-1"] = nasty
        admin.answers["admin/jobs/job-1/retry"] = AdminError(NASTY)
        await _open(app, admin, pilot, nasty)
        for keys in (["r"], ["enter"], ["escape", "y"], ["escape", "s"]):
            await pilot.press(*keys)
            text = await until(app, lambda text: "[red]x[/red]" in text or "Schedules" in text)
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys


async def test_production_is_said_before_a_queue_is_paused() -> None:
    """The question names it."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot, environment="production")
        app.state.is_unlocked = True
        await pilot.press("P")
        await _seen(app, "This is PRODUCTION.", "Pause queue default?")
