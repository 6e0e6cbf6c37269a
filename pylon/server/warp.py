"""Time-warp, in development: jump to what is due next, or through a week in a second.

A journey passes through every moment at which something is due, in order: the clock jumps there,
what is due runs, and only then comes the next. What does not end within a moment runs on, and is
named. The runtime's other waits (heartbeats, timeouts, leases) are by real seconds and notice
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pylon import limits
from pylon.clock import MILLISECONDS_PER_DAY, WarpedClock, iso_ms
from pylon.errors import Conflict, InvalidArgument
from pylon.server.calls import Call
from pylon.server.observe import Observer

_log = logging.getLogger("pylon.clock")
#: What runs by itself when its time has come.
_KINDS: Final = ("job", "workflow")
_UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_OFFSET: Final = re.compile(r"\+((?:[0-9]{1,6}[wdhms])+)\Z", re.ASCII)
_PART: Final = re.compile(r"([0-9]+)([wdhms])", re.ASCII)
_HINT: Final = "next, +7d, +1h30m, 2026-12-24T09:00Z, reset"
#: An answer waits so long for the end of a journey; who asked looks again after that.
_ANSWER_SECONDS: Final = 5.0
#: Rounds at the same moment after which what is due there and does not run is passed over.
_ROUNDS_AT_A_MOMENT: Final = 3


class Waiting(Protocol):
    """What has things wait for their time: jobs and schedules, and workflows."""

    async def will_warp(self) -> None:
        """Note that time goes ahead by no clock's fault."""
        ...

    def time_moved(self) -> None:
        """Look at what is due."""
        ...

    def next_due(self) -> tuple[int, str] | None:
        """Return what comes next: when (Unix ms), and its name."""
        ...

    def is_quiet(self, without: Set[str]) -> bool:
        """Tell whether nothing is under way but these."""
        ...

    async def round_over(self) -> None:
        """Return when it may be quiet."""
        ...

    def under_way(self) -> dict[str, str]:
        """Return the names of what runs, by id."""
        ...


def parse_moment(text: str, now_ms: int) -> int:
    """Return the moment that `+7d` or an ISO time means, Unix ms; raises InvalidArgument."""
    found = _OFFSET.match(text)
    if found is not None:
        parts = _PART.findall(found[1])
        return now_ms + sum(int(count) * _UNITS[unit] for count, unit in parts)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"{text!r} is no time", field="to", hint=_HINT) from None
    if moment.tzinfo is None:
        if len(text) > len("2026-12-24"):
            raise InvalidArgument(f"{text!r} has no zone", field="to", hint=f"{text}Z is UTC")
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


@dataclass(slots=True)
class Journey:
    """One way through time."""

    #: Unix ms; None: to the next thing that is due.
    to_ms: int | None
    from_ms: int
    steps: int = 0
    #: How often each job ended, or workflow went on, by name, and how often it failed.
    ran: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    #: Names of what did not end within its moment.
    ran_on: set[str] = field(default_factory=set)
    #: Why it ended before its end.
    stopped: str | None = None
    is_over: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "from": iso_ms(self.from_ms), "to": None if self.to_ms is None else iso_ms(self.to_ms),
            "steps": self.steps, "ran": dict(self.ran), "failed": dict(self.failed),
            "ran_on": sorted(self.ran_on), "stopped": self.stopped,
        }  # fmt: skip


class Warp:
    """Moves the clock of one runtime."""

    def __init__(self, clock: WarpedClock, waiting: Waiting, observer: Observer) -> None:
        self._clock = clock
        self._waiting = waiting
        self._observer = observer
        self._task: asyncio.Task[None] | None = None
        #: The journey under way, or the last one.
        self.journey: Journey | None = None

    async def arrived(self) -> None:
        """Return when no journey is under way."""
        if self._task is not None:
            _ = await asyncio.wait([self._task])

    def describe(self) -> dict[str, Any]:
        """Return the time, how far it is ahead, what comes next, and the journeys."""
        due, journey = self._waiting.next_due(), self.journey
        is_over = journey is None or journey.is_over
        shown = None if journey is None else journey.to_json()
        return {
            "now": iso_ms(self._clock.now_ms()), "machine": iso_ms(self._clock.machine_ms()),
            "offset_ms": self._clock.offset_ms,
            "next": None if due is None else {"at": iso_ms(due[0]), "name": due[1]},
            "journey": None if is_over else shown, "last": shown if is_over else None,
        }  # fmt: skip

    async def move(self, to: str) -> None:
        """Do what `next`, `+7d`, an ISO time, `reset` or `stop` means.

        Returns at the end, or after some seconds while it goes on. Raises InvalidArgument,
        Conflict while another journey is under way.
        """
        if to == "stop":
            await self.stop()
            return
        if self._task is not None:
            raise Conflict("the clock is on its way", hint="`pylon clock stop` ends that")
        if to == "reset":
            self._clock.reset()
            self.journey = None
            self._waiting.time_moved()
            _log.info("clock.reset")
            return
        self.journey = self._journey(to)
        self._task = asyncio.get_running_loop().create_task(
            self._travel(self.journey), name="pylon-clock"
        )
        _ = await asyncio.wait([self._task], timeout=_ANSWER_SECONDS)

    def _journey(self, to: str) -> Journey:
        now = self._clock.now_ms()
        if to == "next":
            due = self._waiting.next_due()
            if due is None:
                raise Conflict("nothing waits for its time: no job, no slot, no workflow")
            self._demand_near(due[0])
            return Journey(None, now)
        moment = parse_moment(to, now)
        if moment < now:
            raise InvalidArgument(
                "time goes back to the machine's only", field="to", hint="`reset` does that"
            )
        self._demand_near(moment)
        return Journey(moment, now)

    def _demand_near(self, moment_ms: int) -> None:
        ahead_days = (moment_ms - self._clock.machine_ms()) / MILLISECONDS_PER_DAY
        if ahead_days > limits.WARP_DAYS_MAX:
            raise InvalidArgument(
                f"the clock goes at most {limits.WARP_DAYS_MAX} days ahead", field="to"
            )

    async def stop(self) -> None:
        """End the journey under way where it has come to."""
        if self._task is not None:
            self._task.cancel()
            _ = await asyncio.gather(self._task, return_exceptions=True)

    # --- on the way

    async def _travel(self, journey: Journey) -> None:
        stop_listening = self._observer.listen(self._counting(journey))
        try:
            await self._pass(journey)
        except asyncio.CancelledError:
            journey.stopped = "it was stopped"
            raise
        finally:
            stop_listening()
            journey.is_over = True
            self._task = None
            _log.info(
                "clock.warped now=%s steps=%d ran=%d%s", iso_ms(self._clock.now_ms()),
                journey.steps, journey.ran.total(),
                "" if journey.stopped is None else f": {journey.stopped}",
            )  # fmt: skip

    async def _pass(self, journey: Journey) -> None:
        """Go through all that is due until the end, or to the first of it."""
        before, rounds = 0, 0
        left: set[str] = set()
        await self._settle(journey, left)
        await self._waiting.will_warp()
        while True:
            due = self._waiting.next_due()
            if due is None or (journey.to_ms is not None and due[0] > journey.to_ms):
                break
            rounds = rounds + 1 if due[0] <= before else 0
            if rounds >= _ROUNDS_AT_A_MOMENT:
                journey.stopped = f"{due[1]} is due and does not run"
                return
            before = due[0]
            self._clock.jump_to(due[0])
            await self._ring(journey, left)
            if journey.to_ms is None:
                return
            if journey.steps >= limits.WARP_STEPS_MAX:
                journey.stopped = f"it made {limits.WARP_STEPS_MAX} steps; go on from here"
                return
        if journey.to_ms is not None:
            self._clock.jump_to(journey.to_ms)
            await self._ring(journey, left)

    async def _ring(self, journey: Journey, left: set[str]) -> None:
        journey.steps += 1
        self._waiting.time_moved()
        await self._settle(journey, left)

    async def _settle(self, journey: Journey, left: set[str]) -> None:
        """Return when all that is due here has run, or runs for longer than a moment."""
        waiting = self._waiting
        try:
            async with asyncio.timeout(limits.WARP_STEP_SECONDS):
                while not waiting.is_quiet(left):
                    await waiting.round_over()
        except TimeoutError:
            for one, name in waiting.under_way().items():
                left.add(one)
                journey.ran_on.add(name)

    def _counting(self, journey: Journey) -> Callable[[str, Any], None]:
        def note(kind: str, value: Any) -> None:
            if kind == "calls" and isinstance(value, Call) and value.kind in _KINDS:
                journey.ran[value.name] += 1
                if value.outcome == "failed":
                    journey.failed[value.name] += 1

        return note
