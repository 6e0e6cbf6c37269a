"""The warped clock in the dashboard: loud in the first line, and moved by a key."""

from __future__ import annotations

from typing import Any

from tests.screens.fakes import AT, status
from tests.screens.test_dashboard import opened, until


async def test_a_warped_clock_is_loud_and_moved_by_a_key() -> None:
    """The first line says the warped time; `T` offers what is due next, and says what ran."""
    async with opened((100, 24)) as (app, admin, pilot):
        admin.say(status(environment="production"))
        await until(app, lambda text: "PROD" in text)
        await pilot.press("T")
        await until(app, lambda text: "only `pylon dev` has a clock to warp" in text)
        clock = _clock(7 * 86_400_000)
        last = {"ran": {"hourly": 1}, "ran_on": ["slow"], "stopped": None}
        admin.answers["admin/clock"] = {**clock, "last": last}
        admin.say(status(clock=clock))
        await until(app, lambda text: "⏲ 2026-12-01 12:00Z, 7 d 00:00:00 ahead (T)" in text)
        await pilot.press("T")
        await until(app, lambda text: "2026-12-01T13:00:00Z  hourly" in text)
        await pilot.press("enter")
        await until(app, lambda text: "ran: hourly 1" in text and "runs on: slow" in text)
        assert ("admin/clock", {"to": "next"}) in admin.asked


def _clock(offset_ms: int) -> dict[str, Any]:
    return {
        "now": "2026-12-01T12:00:00.000Z", "machine": AT, "offset_ms": offset_ms,
        "next": {"at": "2026-12-01T13:00:00.000Z", "name": "hourly"}, "journey": None, "last": None,
    }  # fmt: skip
