"""Schedules, leases and waits while the machine's clock is set: libfaketime steps a real process's.

The wall clock jumps, forward and back, over slots and both changes of summer time; the monotonic
clock goes on, as it does when somebody sets a clock.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminClient
from pylon.testing.served import ServedProject
from tests.conftest import Serve

_FOLDERS = (*Path("/usr/lib").glob("*/faketime"), Path("/usr/lib/faketime"),
            Path("/usr/local/lib/faketime"))  # fmt: skip
LIBRARY = next((one for it in _FOLDERS if (one := it / "libfaketime.so.1").exists()), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")

#: It looks at the clock ten times a second, not once a minute.
APP = """
from __future__ import annotations

import asyncio

import pylon.limits
from pylon import App

pylon.limits.JOB_TIMER_SECONDS = 0.1
app = App("clocks")


@app.cron("*/10 * * * *")
def tick(ctx):
    pass


@app.cron("30 2 * * *", tz="Europe/Berlin")
def nightly(ctx):
    pass


@app.job(retries=5)
async def works(ctx, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return ctx.job.attempt


@app.job(retries=5, timeout=0.4)
async def hangs(ctx):
    await asyncio.sleep(60)


@app.mutation(allow="true")
def enqueue(ctx, fn: str, args: dict = {}) -> str:
    return ctx.jobs.enqueue(fn, **args)
"""


class _Clock:
    """The clock of one process: what it shows is what stands in a file."""

    def __init__(self, file: Path, start: str) -> None:
        self._file = file
        self.set(start)

    @property
    def environment(self) -> dict[str, str]:
        """Return what has a process go by it."""
        return {
            "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._file), "TZ": "UTC",
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def set(self, moment: str) -> None:
        """Have it stand at a moment, UTC."""
        beside = self._file.with_suffix(".new")
        beside.write_text(moment)
        beside.replace(self._file)


class _Watched:
    """A runtime whose clock is set, and the slots whose runs it made."""

    def __init__(self, served: ServedProject, clock: _Clock, admin: AdminClient) -> None:
        self.served = served
        self._clock = clock
        self._admin = admin

    async def jobs(self, name: str) -> list[dict[str, Any]]:
        """Return the jobs of a function, the oldest first."""
        found = (await self._admin.get("admin/jobs", name=name, limit=1000))["jobs"]
        return list(reversed(found))

    async def slots(self, name: str) -> list[str]:
        """Return the slots of a schedule that had a run, to the minute."""
        return [one["cause"].removeprefix("cron:")[5:16] for one in await self.jobs(name)]

    async def goes_to(self, moment: str, *, tick: list[str], nightly: list[str]) -> None:
        """Set the clock; these slots have had a run soon, and no other a while later."""
        self._clock.set(f"2026-{moment}")
        async with asyncio.timeout(60):
            while (await self.slots("tick"), await self.slots("nightly")) != (tick, nightly):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert (await self.slots("tick"), await self.slots("nightly")) == (tick, nightly)


@pytest.fixture
async def watched(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = _Clock(tmp_path / "clock", "2026-03-28 23:58:00")
    served = await serve(APP, environment=clock.environment, is_warm=False)
    monkeypatch.setenv("PYLON_STATE_DIR", str(served.state))
    admin = AdminClient.local(served.project)
    yield _Watched(served, clock, admin)
    await admin.close()


async def test_each_slot_has_one_run_whatever_the_clock_does(watched: _Watched) -> None:
    """Forward: the newest of those that were missed. Back: none again. Both changes of summer time.

    02:30 in Berlin is skipped on 29 March (it runs right after the gap, 01:00Z) and comes twice on
    25 October (it runs at the first, 00:30Z).
    """
    to = watched.goes_to
    seen = ["03-29T00:00"]
    await to("03-29 00:03:30", tick=seen, nightly=[])
    seen.append("03-29T00:30")  # 00:10 and 00:20 were jumped over
    await to("03-29 00:35:00", tick=seen, nightly=[])
    await to("03-29 00:08:00", tick=seen, nightly=[])  # back over three slots
    await to("03-29 00:10:30", tick=seen, nightly=[])  # and forward to where it had been
    seen.append("03-29T00:50")
    await to("03-29 00:59:50", tick=seen, nightly=[])
    seen.append("03-29T01:00")
    night = ["03-29T01:00"]
    await to("03-29 01:00:05", tick=seen, nightly=night)
    await to("03-29 00:59:00", tick=seen, nightly=night)
    await to("03-29 01:00:30", tick=seen, nightly=night)
    seen.append("10-25T00:20")  # seven months: one run each
    night.append("10-24T00:30")
    await to("10-25 00:29:50", tick=seen, nightly=night)
    seen.append("10-25T00:30")
    night.append("10-25T00:30")
    await to("10-25 00:30:05", tick=seen, nightly=night)
    await watched.served.stop()
    await watched.served.start()  # the slots outlive the process
    seen.append("10-25T01:30")
    await to("10-25 01:30:05", tick=seen, nightly=night)
    await to("10-25 00:29:00", tick=seen, nightly=night)
    await to("10-25 01:31:00", tick=seen, nightly=night)


async def test_what_runs_is_measured_by_the_time_that_passes(watched: _Watched) -> None:
    """No lease ends and no timeout comes because the clock was set, nor does one last longer."""
    nobody = watched.served.anonymous()
    works = (await nobody.call("enqueue", fn="works", args={"seconds": 1.5})).body["value"]
    hangs = (await nobody.call("enqueue", fn="hangs")).body["value"]
    await watched.goes_to("03-28 23:59:00", tick=[], nightly=[])
    await watched.goes_to("03-28 10:00:00", tick=[], nightly=[])
    async with asyncio.timeout(60):
        while (job := (await watched.jobs("works"))[0])["state"] != "completed":
            assert job["state"] == "running"
            await asyncio.sleep(0.05)
    assert (job["id"], job["attempt"]) == (works, 1)
    (job,) = await watched.jobs("hangs")
    assert (job["id"], job["attempt"]) == (hangs, 1)
    assert job["error"].startswith("FUNCTION_TIMEOUT")
