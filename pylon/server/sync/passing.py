"""Time that passes: policies over `now` change their mind without a write, and replicas follow.

A tick looks, by index, whether a time that a policy compares with `now` went by since the last one,
and appends the slices of those rows to the log, as a write would have. How far that was done stands
in the database, so that what went by while nothing ran is made up for at the next start.

Where the clock was set back, answers came of times that are still to come, and where it jumped on,
a row may have been changed after its time and before anybody looked: nobody can tell any more what
that moved, so all rows of the entities whose policies ask the time are told anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pylon import limits
from pylon.clock import iso_ms
from pylon.errors import PylonError
from pylon.policy.slices import Named, Slice, Where, collapsed
from pylon.policy.timing import TURN_SLACK_MS, Timing
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage.change_log import LogRecord, read_head
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.turns import (
    NEVER_MS,
    asked_through,
    followed_through,
    has_turned,
    next_turn,
    remember,
    turned,
)  # fmt: skip
from pylon.server.sync.asked_clock import AskedClock
from pylon.server.sync.view import View
from pylon.sqlite import RawConnection

_log = logging.getLogger("pylon.sync")
_TICK_SECONDS: Final = 0.5
#: So often that is stored where nothing turns.
_STORE_MS: Final = 300_000


class Passing:
    """Follows the turns of one database's policies."""

    def __init__(
        self, database: Database, definitions: DefinitionHolder, clock: AskedClock,
        is_followed: Callable[[str], bool],
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            database: whose log gets the slices.
            definitions: whose policies are followed.
            clock: the one that all are asked by who hold rows.
            is_followed: tells whether anybody follows an entity now.
        """
        self._database = database
        self._definitions = definitions
        self._clock = clock
        self._is_followed = is_followed
        self._lock = asyncio.Lock()
        #: Turns through here were followed; None before the first step.
        self._since_ms: int | None = None
        self._stored_ms = 0
        #: Up to which the clock's settings back are told of.
        self._times_back = 0
        #: The head when turns were followed last.
        self._head = database.head
        #: Of which timing it is known, and until when nothing turns as rows are now.
        self._timing: Timing | None = None
        self._quiet_until_ms = 0
        #: By entity of which nobody can tell when: when it was last told of anew, monotonic.
        self._told: dict[str, float] = {}
        #: And when somebody last came for it who is not connected.
        self._asked: dict[str, float] = {}
        database.writer.on_commit(self._committed)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.step()
            except PylonError:
                pass  # the storage is in trouble or stopping: all of it is looked at again later
            except Exception:  # noqa: BLE001 -- a policy must not stop being followed for good
                _log.exception("sync.time_not_followed trying again")
            await self._clock.sleep(_TICK_SECONDS)

    async def ready(self, view: View) -> None:
        """Have the log hold what turned unforeseen for somebody who comes for a page of it."""
        names = self._definitions.current.timing.unforeseen & view.entities.keys()
        if names:
            self._asked.update(dict.fromkeys(names, self._clock.monotonic()))
            await self.step()

    async def store(self) -> None:
        """Have the next start know how far turns were followed."""
        since_ms, asked_ms = self._since_ms, self._clock.last_ms
        if since_ms is not None and max(since_ms, asked_ms) > self._stored_ms:
            await self._database.writer.submit(lambda tx: remember(tx, since_ms, asked_ms))
            self._stored_ms = since_ms

    async def step(self) -> list[Slice]:
        """Append the slices of all that turned since the last step; returns them."""
        timing = self._definitions.current.timing
        if not timing:
            return []
        async with self._lock:
            if timing is not self._timing:
                self._timing, self._quiet_until_ms = timing, 0
            try:
                return await self._step(timing)
            except BaseException:
                self._quiet_until_ms = 0  # what turned is not in the log yet: look for it again
                raise

    async def _step(self, timing: Timing) -> list[Slice]:
        now_ms = self._clock.now_ms()
        times_back = self._clock.times_back
        if self._since_ms is None:
            self._since_ms, is_behind = self._begin(now_ms)
            if is_behind:
                self._times_back = -1  # stays so until it is told of, also if that fails at first
        is_back = times_back != self._times_back
        anew = sorted(timing.entities) if is_back else self._due_anew(timing)
        is_quiet = now_ms < self._quiet_until_ms
        if not anew and (is_quiet or now_ms == self._since_ms):
            self._since_ms, self._head = now_ms, self._database.head
            if now_ms - self._stored_ms > _STORE_MS:
                await self.store()
            return []
        since, until = iso_ms(self._since_ms), iso_ms(now_ms)
        is_late = now_ms - self._since_ms > TURN_SLACK_MS
        self._quiet_until_ms = NEVER_MS  # lowered by what is written while this is read
        is_turned, quiet_until_ms, head = await self._database.readers.run(
            lambda reader: (
                has_turned(reader, timing, since, until)
                or (is_late and self._is_behind(reader.raw)),
                next_turn(reader, timing, until),
                read_head(reader.raw)[0],
            )
        )
        self._quiet_until_ms = min(self._quiet_until_ms, quiet_until_ms)
        found: list[Slice] = []
        if is_back:
            _log.warning("sync.clock_set_back all that depends on the time is sent anew")
        if anew or is_turned:
            found, head = await self._append(timing, since, until, anew, now_ms, is_late=is_late)
        self._since_ms, self._times_back, self._head = now_ms, times_back, head
        return found

    def _is_behind(self, raw: RawConnection) -> bool:
        """Tell whether anything was written since turns were followed last."""
        return read_head(raw)[0] > self._head

    def _begin(self, now_ms: int) -> tuple[int, bool]:
        """Return through when turns were followed, and whether answers came of later than now."""
        reader = self._database.readers.inline
        stored_ms = followed_through(reader)
        self._stored_ms = stored_ms or 0
        return stored_ms or now_ms, now_ms < max(self._stored_ms, asked_through(reader))

    async def _append(
        self, timing: Timing, since: str, until: str, anew: list[str], now_ms: int, *,
        is_late: bool,
    ) -> tuple[list[Slice], int]:  # fmt: skip
        def work(transaction: Transaction) -> list[Slice]:
            transaction.cause = "time"
            is_all = is_late and self._is_behind(transaction.connection)
            names = sorted(timing.entities) if is_all else anew
            everything: list[tuple[str, Where, Named]] = [(name, (), ()) for name in names]
            slices = collapsed((*everything, *turned(transaction, timing, since, until)))
            for one in slices:
                transaction.append_slice(one)
            remember(transaction, now_ms, now_ms)
            return slices

        outcome = await self._database.writer.submit(work)
        self._stored_ms = now_ms
        self._told.update(dict.fromkeys(anew, self._clock.monotonic()))
        found: list[Slice] = outcome.value
        return found, outcome.seq

    def _due_anew(self, timing: Timing) -> list[str]:
        """Return the followed entities of which only asking again tells what turned."""
        now, never = self._clock.monotonic(), float("-inf")
        return [
            name
            for name in sorted(timing.unforeseen)
            if (self._is_followed(name) or now - self._asked.get(name, never) < 1.0)
            and now - self._told.get(name, never) >= limits.UNFORESEEN_SECONDS
        ]

    def _committed(self, records: list[LogRecord], head: int) -> None:
        watched = () if self._timing is None else self._timing.looks_at
        if not records or any(one.entity in watched for one in records):
            self._quiet_until_ms = 0
