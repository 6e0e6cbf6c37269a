"""The Health screen, the Doctor's, and the runtime's log: figures, what is held, what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminError
from pylon.testing.grid import grid
from tests.screens.fakes import ScriptedAdmin, status
from tests.screens.test_dashboard import opened, shown, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
FAULT = {"name": "wal-reset", "first": "3.7.0", "last": "3.51.2", "what": "two writers corrupt it",
         "but": "there is one writer"}  # fmt: skip


def _health(count: int = 3, **changed: Any) -> dict[str, Any]:
    return {
        "count": count, "samples": {"loop_lag_ms": [0.5, 80.25, 1.0], "wal_bytes": [0, 4096, 8192]},
        "units": {"loop_lag_ms": "ms", "wal_bytes": "bytes"},
        "held": [
            {"name": "sync sockets", "size": 95, "limit": 100, "bound": "SOCKETS_MAX", "unit": "",
             "share": 0.95},
            {"name": "calls", "size": 1000, "limit": 1000, "bound": "CALLS_KEPT_MAX", "unit": "",
             "share": 1.0},
        ],
        "slow_functions": [{"name": "feed", "seconds": 12.5, "calls": 40, "p99_ms": 310.0}],
        "slow_queries": [{"sql": f"SELECT {NASTY}", "seconds": 1.5, "count": 3, "rows": 9,
                          "function": "feed"}],
        "subscriptions": [{"entity": "Message", "filter": "{}", "connections": 7,
                           "evaluations": 900, "pushes": 630, "bytes": 63_000, "reruns": 0}],
        "followed": [{"function": "feed", "args": '{"room":"r1"}', "followers": 3, "users": ["ada"],
                      "is_waiting": False, "kept_bytes": 80, "runs": 40, "useful": 9, "failed": 0,
                      "told": 27, "told_bytes": 2048, "rows_read": 400, "ms": 50.0}],
        "jobs": [
            {"queue": "default", "available": 1200, "running": 10, "concurrency": 10,
             "scheduled": 7, "dead": 0, "completed": 5, "cancelled": 0, "paused_at": None},
            {"queue": "mail", "available": 0, "running": 0, "concurrency": 5, "scheduled": 0,
             "dead": 3, "completed": 0, "cancelled": 0, "paused_at": "2026-11-30T12:00:00.000Z"},
        ],
        "queues": {}, "sqlite": {"version": "3.45.0", "journal_mode": "wal", "synchronous": "full",
                                 "health": "ok", "faults": [FAULT]},
        "disk": {"free_bytes": 2**33, "total_bytes": 2**34, "database_bytes": 4096,
                 "wal_bytes": 0}, **changed,
    }  # fmt: skip


FINDING = {"kind": "disk-full", "level": "error", "what": "9 MiB are free", "where": "/srv/.pylon",
           "why": "writes fail", "fix": "make room", "can_fix": False}  # fmt: skip


async def _open(app: Any, admin: ScriptedAdmin, pilot: Any, **changed: Any) -> None:
    admin.answers.setdefault("admin/health", _health(**changed))
    admin.say(status())
    await until(app, lambda text: "head 0" in text)
    await pilot.press("0")
    await until(app, lambda text: "loop_lag_ms" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_figures_and_what_is_held_are_shown(size: tuple[int, int]) -> None:
    """Newest and highest beside a line of the past; what is nearly full is marked by a sign."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(app, "Health", "80.25", "8.0 KiB", "sync sockets", "! 95%")
        assert "!100%" not in text, "a ring is meant to be full"
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        await pilot.press("slash", *"feed")
        text = await _seen(app, "feed", "12.50")
        assert "SELECT" not in text or "\x1b" not in text
        await pilot.press("escape")
        await pilot.press("slash", *"sqlite", "enter", "G", "enter")
        await _seen(app, "two writers corrupt it", "there is one writer")


@pytest.mark.parametrize("size", SIZES)
async def test_the_depth_of_each_queue_of_jobs_is_shown(size: tuple[int, int]) -> None:
    """What is due and waits, what runs of how many that may, what comes later, what died."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(app, "JOB QUEUE", "1,200", "10/10")
        (default,) = (line for line in text.split("\n") if line.lstrip("> ").startswith("default"))
        assert default.split()[-4:] == ["1,200", "10/10", "7", "0"], default
        await pilot.press("slash", *"queue:mail", "enter")
        await _seen(app, "0/5", "paused ! dead: 6")
        await pilot.press("escape")
        admin.answers["admin/health"] = _health(jobs=None)  # its storage does not tell
        await until(app, lambda text: "JOB QUEUE" not in text and "loop_lag_ms" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_a_fault_that_is_avoided_is_not_called_health(size: tuple[int, int]) -> None:
    """What the writer is like stands with the storage; faults of the library stand with it."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(app, "· writes ok", "durability full · known fault wal-reset, avoided")
        assert "health ok" not in text
        sound = {**_health()["sqlite"], "faults": []}
        admin.answers["admin/health"] = _health(4, sqlite=sound)
        await until(app, lambda text: "durability full · no known fault" in text)


async def test_figures_go_on_and_begin_anew_with_another_process() -> None:
    """Only what is new is asked for; a runtime that restarted counts from nothing."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        await until(app, lambda _: ("admin/health", {"since": 3}) in admin.asked)
        admin.answers["admin/health"] = _health(1, samples={"loop_lag_ms": [7.5]})
        await until(app, lambda text: "7.50" in text and "80.25" not in text)


async def test_old_figures_are_called_so() -> None:
    """After two seconds without an answer the screen says it, and why."""
    async with opened((120, 30)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        admin.answers["admin/health"] = AdminError("nobody answers")
        for _ in range(40):
            admin.say(status())
            if "STALE" in shown(app):
                break
            await pilot.pause(0.25)
        await _seen(app, "STALE", "nobody answers")


async def test_the_doctor_is_a_screen() -> None:
    """From Health by d: each finding with its sign; enter says where, why and what mends it."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/doctor"] = {"findings": [FINDING], "version": "1", "now_ms": 0}
        await _open(app, admin, pilot)
        await pilot.press("d")
        await until(app, lambda text: "✗ error" in text and "1 error, 0 warnings" in text)
        await pilot.press("enter")
        await _seen(app, "/srv/.pylon", "writes fail", "make room", "disk-full")


async def test_a_problem_is_put_into_a_file_from_the_palette(tmp_path: Path) -> None:
    """By the command itself, in the project's folder; of one that runs elsewhere it says where."""
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers["admin/doctor"] = {"findings": [], "version": "1", "now_ms": 0}
        await _open(app, admin, pilot)
        offered = {one.title: one for one in app.get_system_commands(app.screen)}
        offered["Put a problem into one file"].callback()
        await _seen(app, "it runs elsewhere", "pylon bug")
        (tmp_path / "app.py").write_text("from pylon import App\napp = App('b')\n")
        admin.say(status(project=str(tmp_path)))
        await until(app, lambda _: app.state.status.get("project") == str(tmp_path))
        offered["Put a problem into one file"].callback()
        await _seen(app, "bug: failed", "has no database yet")


async def test_the_runtime_log_is_a_screen_of_its_own() -> None:
    """From Health by l, and in the palette."""
    async with opened() as (app, admin, pilot):
        await _open(app, admin, pilot)
        app.state.add_line("info", "it said this")
        await pilot.press("l")
        await until(app, lambda text: "it said this" in text and "Runtime log" in text)


async def test_what_a_run_of_a_followed_call_costs_is_said() -> None:
    """Followers, runs, milliseconds a run; enter says who follows, and which runs told."""
    async with opened((120, 60)) as (app, admin, pilot):
        await _open(app, admin, pilot)
        await _seen(app, "FOLLOWED CALL", "feed", "1.25", "2.0 KiB", '{"room":"r1"}')
        await pilot.press("slash", *"r1", "enter", "g", "enter")
        await _seen(app, "3 follow it: ada", "40 runs, 9 of them told something new")
