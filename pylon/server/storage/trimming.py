"""What keeps the log and the memory of operations within their bounds, a little at a time.

Trimming is writing: it goes through the one writer, in transactions so small that nobody waits.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from pylon import limits
from pylon.errors import PylonError
from pylon.server.storage import change_log, operations
from pylon.server.storage.change_log import Trimmed
from pylon.server.storage.database import Database

_log = logging.getLogger("pylon.storage")
_DAY_MS = 86_400_000
_PAUSE_SECONDS = 60.0
_ROWS_AT_ONCE = 500
#: The memory of operations is read through for old ones this often, so many are noted at once.
_LOOK_EVERY_SECONDS = 3_600.0
_LOOK_SECONDS = 120.0
_FOUND_AT_ONCE = 50_000


class Trimmer:
    """Trims one database's log until stopped."""

    def __init__(self, database: Database, *, keep_changes: int, keep_days: int) -> None:
        self._database = database
        self._keep_changes = keep_changes
        self._keep_days = keep_days
        self._task: asyncio.Task[None] | None = None
        self._oldest: list[operations.Remembered] = []
        self._look_at = 0.0

    def start(self) -> None:
        """Start to trim; owned by this object until `stop()`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pylon-trimmer")

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            with suppress(PylonError):  # the storage is in trouble or stopping: later, then
                while await self.step():
                    await self._database.clock.sleep(0.01)
            await self._database.clock.sleep(_PAUSE_SECONDS)

    async def step(self) -> bool:
        """Delete one small piece of what is too old; tells whether there may be more."""
        keep_after = self._keep_after(self._keep_days)
        trimmed = await self._trim(self._keep_changes, keep_after)
        # An id must outlive every cursor that could lead to its operation again.
        kept_days = self._keep_days + limits.OPERATION_EXTRA_DAYS
        has_forgotten = await self._forget(self._database.clock.machine_ms() - kept_days * _DAY_MS)
        return trimmed.deleted > 0 or has_forgotten

    async def _forget(self, before_ms: int) -> bool:
        database = self._database
        if not self._oldest:
            if database.clock.monotonic() < self._look_at:
                return False
            self._oldest = await database.readers.run(
                lambda reader: operations.find_oldest(
                    reader.raw, before_ms, limits.OPERATIONS_MAX, _FOUND_AT_ONCE
                ),
                timeout_s=_LOOK_SECONDS,
            )
            if not self._oldest:
                self._look_at = database.clock.monotonic() + _LOOK_EVERY_SECONDS
                return False
        some, self._oldest = self._oldest[:_ROWS_AT_ONCE], self._oldest[_ROWS_AT_ONCE:]
        done = await database.writer.submit(
            lambda transaction: operations.forget(transaction, some)
        )
        database.forgotten_ms = done.value
        return True

    async def trim(self, keep_changes: int | None, keep_days: float | None) -> int:
        """Trim the log at once, by other bounds if given; returns how many records went.

        The memory of operations stays as the settings say: a retry must find its answer.
        """
        keep_after = self._keep_after(self._keep_days if keep_days is None else keep_days)
        keep = self._keep_changes if keep_changes is None else keep_changes
        total = 0
        while deleted := (await self._trim(keep, keep_after)).deleted:
            total += deleted
            await asyncio.sleep(0)  # others write in between
        return total

    def _keep_after(self, keep_days: float) -> int:
        return self._database.clock.now_ms() - round(keep_days * _DAY_MS)

    async def _trim(self, keep_changes: int, keep_after: int) -> Trimmed:
        head, before = self._database.head, self._database.horizon
        trimmed: Trimmed = (
            await self._database.writer.submit(
                lambda transaction: change_log.trim(
                    transaction.connection, head, keep_changes=keep_changes,
                    keep_after_ms=keep_after, at_most=_ROWS_AT_ONCE,
                )
            )
        ).value  # fmt: skip
        if trimmed.horizon > before:
            self._database.horizon = max(before, trimmed.horizon)
            _log.info("log.trimmed through=%d", trimmed.horizon)
        return trimmed
