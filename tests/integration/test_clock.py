"""The warped clock of a running app: what is due runs on the way, and nothing else notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock, WarpedClock, iso_ms
from pylon.errors import Conflict, InvalidArgument, OperationExpired
from pylon.identity import Identity, IdentityKind
from pylon.server.functions.outcome import Outcome, Status
from pylon.server.storage.trimming import Trimmer
from pylon.server.warp import parse_moment
from pylon.testing import running
from pylon.testing.harness import Running
from pylon.testing.manual_clock import START_MS, ManualClock

APP = """
from __future__ import annotations

import asyncio
from datetime import datetime

from pylon import App, Entity, field, now

app = App("clock")


@app.entity(read="true", insert="true")
class Run(Entity):
    what: str
    at: datetime = field(default=now)


@app.cron("0 * * * *")
def hourly(ctx):
    ctx.db.insert("Run", what="hourly")


@app.job(retries=1, backoff=600)
def fails(ctx):
    if ctx.job.attempt == 1:
        raise ValueError("not yet")
    ctx.db.insert("Run", what="second attempt")


@app.job
def chain(ctx, left: int):
    ctx.db.insert("Run", what=f"chain {left}")
    if left:
        ctx.jobs.enqueue(chain, left=left - 1, delay=86_400)


@app.job
async def slow(ctx):
    await asyncio.sleep(0.4)


@app.mutation
def start(ctx, fn: str, delay: float = 0, left: int = 0):
    args = {"left": left} if fn == "chain" else {}
    ctx.jobs.enqueue(fn, delay=delay, **args)
"""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Running]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    async with running(folder) as started:
        await started.settled()
        yield started


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Running]:
    """An app without a schedule."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP.replace('@app.cron("0 * * * *")', "@app.job"))
    async with running(folder) as started:
        yield started


async def _runs(rt: Running, what: str) -> list[str]:
    reader = await rt.anonymous()
    await rt.settled()
    return [one.at for one in reader.rows("Run", {"what": what}, ["at"])]


async def test_a_jump_passes_through_each_moment(rt: Running) -> None:
    """Slots have their runs, each at its own time and in order; so have jobs that enqueue jobs."""
    ann = await rt.user("ann@example.com")
    await ann.call("start", fn="chain", left=1, delay=3600.0)
    found = await rt.travel("+30h")
    assert found["last"]["ran"] == {"hourly": 30, "chain": 2}
    assert found["last"]["stopped"] is None
    assert found["offset_ms"] == 30 * HOUR_MS
    assert await _runs(rt, "hourly") == [
        iso_ms(START_MS + (hour + 1) * HOUR_MS) for hour in range(30)
    ]
    assert await _runs(rt, "chain 0") == [iso_ms(START_MS + HOUR_MS + DAY_MS)]


async def test_next_goes_to_what_is_due_first_and_no_further(rt: Running) -> None:
    """The first attempt, its retry after the backoff, then the slot."""
    ann = await rt.user("ann@example.com")
    await ann.call("start", fn="fails", delay=60.0)
    first = await rt.travel("next")
    assert (first["offset_ms"], first["last"]["failed"]) == (60_000, {"fails": 1})
    second = await rt.travel("next")
    assert second["last"]["ran"] == {"fails": 1}
    assert 300_000 < second["offset_ms"] < HOUR_MS
    assert len(await _runs(rt, "second attempt")) == 1
    third = await rt.travel("next")
    assert (third["offset_ms"], third["last"]["ran"]) == (HOUR_MS, {"hourly": 1})
    assert third["next"] == {"at": iso_ms(START_MS + 2 * HOUR_MS), "name": "hourly"}


async def test_after_a_reset_no_slot_runs_twice(rt: Running) -> None:
    """The machine's time comes by where the warped one was; a reload in between changes nothing."""
    await rt.travel("+2d")
    assert len(await _runs(rt, "hourly")) == 48
    found = await rt.travel("reset")
    assert (found["offset_ms"], found["now"]) == (0, found["machine"])
    rt.runtime.services.worker.app_reloaded()
    await rt.advance(5 * 3600)
    assert len(await _runs(rt, "hourly")) == 48
    await rt.travel("+2d")
    assert len(await _runs(rt, "hourly")) == 48 + 5


async def test_a_start_counts_slots_from_its_own_time(tmp_path: Path) -> None:
    """What a warped time took ends with the process: schedules of the next one run at once."""
    from pylon.testing.harness import seeded_ids
    from pylon.testing.inprocess import InProcessRuntime, config_of
    from pylon.testing.network import MemoryNetwork

    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    for offset_ms in (DAY_MS, HOUR_MS):
        clock = ManualClock()
        runtime = InProcessRuntime(
            config_of(folder, {}), tmp_path / "data", MemoryNetwork(), clock=clock,
            ids=seeded_ids(clock),
        )  # fmt: skip
        await runtime.start(may_migrate=True)
        warp = runtime.services.warp
        assert warp is not None
        await warp.move(f"+{offset_ms // 1000}s")
        assert warp.journey is not None
        assert warp.journey.ran["hourly"] == offset_ms // HOUR_MS
        await runtime.stop()


async def test_a_jump_cuts_no_socket(idle: Running) -> None:
    """Weeks go by in no time: heartbeats and timeouts are by the seconds that pass."""
    await idle.user("ann@example.com")
    before = list(idle.runtime.services.hub.connections())
    session_days = idle.runtime.services.config["auth.session_days"]
    await idle.travel(f"+{session_days - 1}d")
    assert len(before) == 1
    assert list(idle.runtime.services.hub.connections()) == before


async def test_operations_are_remembered_by_the_machines_time(idle: Running) -> None:
    """Ids of clients that know of no warp are neither too old nor forgotten, however far it is."""
    services = idle.runtime.services
    ann = await idle.user("ann@example.com")
    caller = Identity(kind=IdentityKind.USER, user_id=ann.user_id, email=ann.email)
    op_id = idle.runtime.ids.uuid7()

    async def send(op_id: str) -> Outcome:
        return await services.executor.mutate(
            caller, "start", {"fn": "chain", "delay": 1.0}, op_id=op_id, cause="test"
        )

    assert (await send(op_id)).status is Status.APPLIED
    await idle.travel("+400d")
    assert (await send(idle.runtime.ids.uuid7())).status is Status.APPLIED
    trimmer = Trimmer(services.database, keep_changes=1_000, keep_days=30)
    while await trimmer.step():
        pass
    assert services.database.forgotten_ms == 0
    assert (await send(op_id)).status is Status.DUPLICATE
    old = f"{START_MS - 90 * DAY_MS:012x}"
    expired = (await send(f"{old[:8]}-{old[8:]}-7000-8000-000000000000")).error
    assert expired is not None
    assert expired["code"] == OperationExpired.code


async def test_a_session_expires_by_the_warped_time(idle: Running) -> None:
    """A month later nobody is signed in any more, also on a socket that says nothing."""
    await idle.user("ann@example.com")
    days = idle.runtime.services.config["auth.session_days"]
    await idle.travel(f"+{days + 1}d")
    await idle.advance(2)
    assert list(idle.runtime.services.hub.connections()) == []


async def test_what_does_not_end_runs_on(rt: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that takes its real time is waited for once, and named; the way goes on."""
    monkeypatch.setattr("pylon.limits.WARP_STEP_SECONDS", 0.05)
    ann = await rt.user("ann@example.com")
    await ann.call("start", fn="slow", delay=60.0)
    found = await rt.travel("+3h")
    assert "slow" in found["last"]["ran_on"]
    assert found["last"]["ran"]["hourly"] == 3


async def test_what_is_no_way_ahead_is_refused(idle: Running) -> None:
    """Wrong texts, the past, and too far ahead; `next` says when nothing waits."""
    warp = idle.runtime.services.warp
    assert warp is not None
    for wrong in ("", "tomorrow", "+7", "-1d", "+7y", "2026-12-24T09:00", "2020-01-01", "+4000d"):
        with pytest.raises(InvalidArgument):
            await warp.move(wrong)
    with pytest.raises(Conflict):
        await warp.move("next")


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("+7d", 7 * DAY_MS), ("+1h30m", HOUR_MS * 3 // 2), ("+2w1s", 14 * DAY_MS + 1_000),
        ("2026-01-02", DAY_MS), ("2026-01-01T02:00+01:00", HOUR_MS), ("2026-01-01T01:00Z", HOUR_MS),
    ],
)  # fmt: skip
def test_moments_are_offsets_or_times_with_a_zone(text: str, after_ms: int) -> None:
    """A day alone is its midnight in UTC."""
    assert parse_moment(text, START_MS) == START_MS + after_ms


def test_a_warped_clock_never_goes_back_but_by_a_reset() -> None:
    """Durations are the machine's."""
    machine = ManualClock()
    clock = WarpedClock(machine)
    clock.jump_to(START_MS + DAY_MS)
    clock.jump_to(START_MS)
    assert (clock.now_ms(), clock.machine_ms()) == (START_MS + DAY_MS, START_MS)
    assert clock.monotonic() == machine.monotonic()
    clock.reset()
    assert clock.now_ms() == START_MS
    system: Any = WarpedClock(SystemClock())
    assert abs(system.now_ms() - system.machine_ms()) < 1_000
