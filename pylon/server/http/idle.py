"""Whether a runtime may sleep: nobody is there, nothing runs, and when something is due."""

from __future__ import annotations

from typing import Any

from pylon import limits
from pylon.errors import Conflict
from pylon.server.http.services import Services


def idle_of(services: Services) -> dict[str, Any]:
    """Return for how long nobody was there, what keeps it awake, and what is due next.

    Shape: {"seconds": float, "keeps": [words], "next_due_ms": Unix ms of the machine or None}.
    """
    keeps = []
    if services.presence.open:
        count = services.presence.open
        keeps.append(f"{count} open connection{'' if count == 1 else 's'}")
    running = {one.name for one in services.observer.calls.running.values()}
    keeps += [f"{name} runs" for name in sorted(running)[:5]]
    if not services.worker.is_idle:
        keeps.append("jobs run or wait for room")
    if not services.workflows.is_quiet(frozenset()):
        keeps.append("workflows go on")
    if services.warp is not None and services.warp.describe()["offset_ms"]:
        keeps.append("its clock is warped, and a start would forget that")
    dues = [one for one in (services.worker.next_due(), services.workflows.next_due()) if one]
    due_ms = min((int(one[0]) for one in dues), default=None)
    now_ms = services.clock.now_ms()
    if due_ms is not None and due_ms - now_ms < limits.SLEEP_SECONDS_MIN * 1000:
        name = min(dues)[1]
        keeps.append(f"{name} is due within {limits.SLEEP_SECONDS_MIN:.0f} s")
    return {
        "seconds": round(services.presence.idle_seconds(), 1), "keeps": keeps,
        "next_due_ms": due_ms,
    }  # fmt: skip


def demand_idle(services: Services, seconds: float) -> None:
    """Raise Conflict unless nobody was there for so long and nothing keeps the runtime awake."""
    idle = idle_of(services)
    keeps = list(idle["keeps"])
    if idle["seconds"] < seconds:
        keeps.append(f"somebody was there {idle['seconds']:.0f} s ago")
    if keeps:
        raise Conflict(f"{services.definitions.current.name} is awake: {'; '.join(keeps)}")
