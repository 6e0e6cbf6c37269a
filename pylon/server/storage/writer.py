"""The one writer: operations in batches, isolated from each other, one durable commit for all.

Statements run on the loop's thread, COMMIT alone on the connection's own; nothing touches the
connection while its COMMIT is in flight. A failed COMMIT has an unknown outcome: everything is
closed, opened again and verified before anything more is acknowledged (I6). What one batch does
with its operations is `batch`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pylon import limits
from pylon.clock import Clock
from pylon.errors import PylonError, Unavailable
from pylon.server.storage import commits
from pylon.server.storage.apart import Apart, is_full, run_apart, unit_in_batch
from pylon.server.storage.batch import Batch, BatchLost, SavepointsNeeded, Work
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.surroundings import Storage
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.units import FunctionWork, Refusal, Unit
from pylon.sqlite import Connection, Error

CommitListener = Callable[[list[LogRecord], int], None]
NoticeListener = Callable[[object], None]
#: Hands over what is to run at the end of a batch, given what its operations tell; or None.
Follower = Callable[[list[object]], Unit | None]

_log = logging.getLogger("pylon.storage")
#: Records after which the WAL is copied back when nothing else waits, and when much does.
_CHECKPOINT_RECORDS_IDLE = 2_000
_CHECKPOINT_RECORDS_BUSY = 20_000
#: How long statements hold the loop before others get a turn.
_HOLD_SECONDS = 0.002
#: While nothing can be written: how long callers wait for a recovery before they are told, how
#: often it is tried, and how often a full disk is looked at.
_PATIENCE_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
_ROOM_SECONDS = 0.5


class Writer:
    """Queues operations and commits them in groups."""

    def __init__(self, storage: Storage, connection: Connection, clock: Clock) -> None:
        self._storage = storage
        self._connection = connection
        self._clock = clock
        self._queue: deque[Unit] = deque()
        self._queued_operations = 0
        self._wake = asyncio.Event()
        self._pause = asyncio.Lock()
        self._listeners: list[CommitListener] = []
        self._notice_listeners: list[NoticeListener] = []
        self._followers: list[Follower] = []
        self._records_since_checkpoint = 0
        self._is_closing = False
        self._is_abandoned = False
        self._task: asyncio.Task[None] | None = None
        self.health = "ok"
        #: What is answered at once while nothing can be written.
        self._refusal: Unavailable | None = None
        self.commit_ms = 0.0
        #: Seconds that all commits took.
        self.commit_s = 0.0
        self.batches = 0
        self.operations = 0

    # --- asking for work

    def submit(
        self, work: Callable[[Transaction], Any], *, on_refused: Refusal | None = None,
        apart: Apart | None = None,
    ) -> asyncio.Future[Any]:  # fmt: skip
        """Queue one operation.

        Returns a future of `Committed(value, seq)`, done after the durable commit. It raises the
        PylonError that the work raised (after `on_refused`, if given, was committed in its
        place), Internal for any other exception, and Unavailable where nobody can know.
        With `apart` it runs on the connection's thread, in a commit of its own.
        """
        return self.submit_work(FunctionWork(work, on_refused), apart=apart)

    def submit_work(self, work: Work, *, apart: Apart | None = None) -> asyncio.Future[Any]:
        """Queue one operation that knows of itself whether it needs a savepoint."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._enqueue(Unit((work,), future, is_group=False, apart=apart))
        return future

    def submit_group(
        self, works: Sequence[Work], *, look_up: Callable[[Transaction], None] | None = None,
        apart: Apart | None = None,
    ) -> asyncio.Future[list[Any]]:  # fmt: skip
        """Queue operations that are independent of each other, in order, with one answer.

        The future's value has, for each of them, what it returned or the PylonError that
        refused it. `look_up` reads ahead, once, before the first one runs.
        """
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._enqueue(Unit(works, future, is_group=True, look_up=look_up, apart=apart))
        return future

    def submit_each(
        self, works: Sequence[Work], *, apart: Apart | None = None
    ) -> asyncio.Future[list[Any]]:
        """Queue operations that have nothing to do with each other, with one answer for all.

        The future's value is as of `submit_group`; what becomes of one is nothing to the others.
        """
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._enqueue(Unit(works, future, is_group=True, is_ordered=False, apart=apart))
        return future

    def _enqueue(self, unit: Unit) -> None:
        if self._is_closing or self._queued_operations >= limits.WRITER_QUEUE_MAX:
            reason = "stopping" if self._is_closing else "busy"
            unit.answer(Unavailable(f"the writer is {reason}", reason=reason))
            return
        if self._refusal is not None:
            unit.answer(self._refusal)
            return
        self._queue.append(unit)
        self._queued_operations += len(unit.works)
        if not self._wake.is_set():
            self._wake.set()

    def _take(self) -> Unit:
        unit = self._queue.popleft()
        self._queued_operations -= len(unit.works)
        return unit

    @property
    def queued(self) -> int:
        """Return how many operations wait."""
        return self._queued_operations

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener(records, head)` on the loop after each commit that changed rows."""
        self._listeners.append(listener)

    def off_commit(self, listener: CommitListener) -> None:
        """Stop calling a listener."""
        self._listeners.remove(listener)

    def on_notice(self, listener: NoticeListener) -> None:
        """Call `listener(notice)` for what operations tell, after their commit, before its rows."""
        self._notice_listeners.append(listener)

    def follow(self, follower: Follower) -> None:
        """Have `follower(notices)` add to a batch before its COMMIT: one sync for both.

        It may be asked again about a batch that is run again, what it added included.
        """
        self._followers.append(follower)

    def pause(self) -> asyncio.Lock:
        """Return the lock that keeps batches from running, for migrations and backups."""
        return self._pause

    # --- running

    def abandon(self, refusal: Unavailable) -> None:
        """Refuse everything from now on: what is written here would be lost."""
        self._is_abandoned = True
        self._refusal = refusal
        self.health = str(refusal.details["reason"])
        self._wake.set()

    def start(self) -> None:
        """Start the loop that commits; owned by this writer until `close()`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pylon-writer")

    async def close(self) -> None:
        """Finish what is queued, then stop; later operations are refused."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            if self._refusal is not None:
                await self._until_writable()
            if not self._queue:
                if self._is_closing:
                    return
                await self._checkpoint_beyond(_CHECKPOINT_RECORDS_IDLE)
                self._wake.clear()
                # Whoever came, or closed, during the checkpoint has woken us already.
                if not self._queue and not self._is_closing:
                    await self._wake.wait()
                # One more pass of the loop: what arrives in it joins this batch.
                await asyncio.sleep(0)
                continue
            async with self._pause:
                await self._commit_one_batch()
            await self._checkpoint_beyond(_CHECKPOINT_RECORDS_BUSY)

    async def _commit_one_batch(self) -> None:
        taken: list[Unit] = []
        try:
            batch = await self._execute_batch(taken)
            if batch is None:
                return
            started = self._clock.monotonic()
            await commits.commit(self._connection)
        except Exception as error:  # noqa: BLE001 -- without this task nobody ever writes again
            await self._recover(taken, error)
            return
        self.commit_ms = (self._clock.monotonic() - started) * 1000
        self.commit_s += self.commit_ms / 1000
        self.batches += 1
        self.operations += batch.operations
        self._records_since_checkpoint += max(len(batch.records), batch.operations)
        self._publish(taken, batch)

    def _publish(self, units: list[Unit], batch: Batch) -> None:
        self._storage.head = batch.seq
        # Notices first: who lost a right with this commit must not be sent its rows.
        for notice in batch.notices:
            for told in self._notice_listeners:
                commits.call(told, notice)
        if batch.records:
            for listener in self._listeners:
                commits.call(listener, batch.records, batch.seq)
        for unit in units:
            unit.answer()

    # --- one batch

    async def _execute_batch(self, taken: list[Unit]) -> Batch | None:
        """Run queued units until the batch is full, into `taken`; again where one lost it.

        Returns None where nothing is to be committed; raises what SQLite raises outside of
        operations.
        """
        is_careful = False
        while True:
            try:
                if self._queue and self._queue[0].apart is not None and not taken:
                    return await self._execute_apart(taken, self._queue[0].apart)
                return await self._execute(taken, is_careful=is_careful)
            except SavepointsNeeded:
                self._connection.raw.execute("ROLLBACK")
                is_careful = True
            except BatchLost as loss:
                if is_full(loss.error):
                    self._refuse_full(taken)
                    return None
                is_careful = True

    async def _execute(self, taken: list[Unit], *, is_careful: bool) -> Batch | None:
        connection = self._connection.raw
        assert not connection.in_transaction
        connection.execute("BEGIN IMMEDIATE")
        batch = self._new_batch(is_careful=is_careful)
        for unit in taken:
            unit.run(batch)
        since = self._clock.monotonic()
        while self._queue and max(len(batch.records), batch.operations) < limits.BATCH_ROWS_MAX:
            if self._queue[0].apart is not None:
                break
            unit = self._take()
            if unit.future.cancelled():
                continue
            taken.append(unit)
            for _ in unit.turns(batch):
                if self._clock.monotonic() - since > _HOLD_SECONDS:
                    # The transaction stays open meanwhile: nobody else uses this connection.
                    await asyncio.sleep(0)
                    since = self._clock.monotonic()
        if not taken:
            connection.execute("ROLLBACK")
            return None
        if batch.notices:
            for follower in self._followers:
                following = follower(batch.notices)
                if following is not None:
                    taken.append(following)
                    following.run(batch)
        batch.finish()
        return batch

    def _new_batch(self, *, is_careful: bool) -> Batch:
        return Batch(
            self._connection.raw, self._storage.new_transaction(), self._clock,
            self._storage.head, new_id=self._storage.new_id, is_careful=is_careful,
        )  # fmt: skip

    async def _execute_apart(self, taken: list[Unit], apart: Apart) -> Batch | None:
        """Run the one unit that may take long, on the connection's thread."""
        unit = self._take()
        if unit.future.cancelled():
            return None
        taken.append(unit)
        return await run_apart(
            self._connection, lambda raw: unit_in_batch(raw, unit, self._new_batch), apart
        )

    def _refuse_full(self, units: list[Unit]) -> None:
        self.health = "disk_full"
        if self._refusal is None:
            _log.error("storage.disk_full writes are refused until there is room")
        self._refusal = Unavailable(
            "the disk is full; nothing was stored", reason="disk_full",
            hint="make room; reads go on meanwhile",
        )  # fmt: skip
        for unit in units:
            unit.answer(self._refusal)

    # --- trouble

    async def _recover(self, units: list[Unit], error: BaseException) -> None:
        """Answer what nobody can know, and write nothing more until the file was opened anew."""
        self.health = "recovering"
        _log.error(
            "storage.commit_failed %s: outcome unknown, opening again", error,
            exc_info=None if isinstance(error, Error) else error,
        )  # fmt: skip
        has_no_room = is_full(error)
        unknown = Unavailable(
            "the commit failed and may or may not have happened",
            reason="disk_full" if has_no_room else "commit_unknown",
            hint="retry with the same operation id",
        )
        for unit in units:
            unit.answer(unknown)
        await self._open_again()
        if has_no_room and self._refusal is None:
            self._refuse_full([])

    async def _open_again(self) -> None:
        """Open, verify and prove the file until that works; whoever waits too long is refused."""
        patient_until = self._clock.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._connection = await self._storage.recover()
                commits.prove(self._connection.raw, self._clock.now_ms())
            except (Error, PylonError, OSError) as failure:
                if is_full(failure):
                    self._refuse_full([])
                    return
                _log.error("storage.recovery_failed %s; trying again", failure)
                self.health = f"failed: {failure}"
                if self._clock.monotonic() > patient_until or self._is_closing:
                    self._refusal = Unavailable("nothing can be written", reason="recovering")
                    self._refuse_queued()
                if self._is_closing:
                    return
                await self._clock.sleep(_AGAIN_SECONDS)
            else:
                self.health, self._refusal = "ok", None
                return

    async def _until_writable(self) -> None:
        """Wait for room on a full disk; nothing is accepted before a commit of ours is through."""
        while self._refusal is not None:
            self._refuse_queued()
            if self._is_closing:
                return
            await self._clock.sleep(_ROOM_SECONDS)
            if self._is_abandoned or not self._storage.has_room():
                continue
            try:
                commits.prove(self._connection.raw, self._clock.now_ms())
            except Error:
                await self._open_again()
            else:
                self.health, self._refusal = "ok", None
                _log.info("storage.room_again writes go on")

    def _refuse_queued(self) -> None:
        refusal = self._refusal or Unavailable("the storage is not available", reason="stopping")
        while self._queue:
            self._take().answer(refusal)

    async def _checkpoint_beyond(self, records: int) -> None:
        if self._records_since_checkpoint < records:
            return
        self._records_since_checkpoint = 0
        async with self._pause:
            try:
                await self._connection.run(commits.checkpoint)
            except Error as error:
                _log.warning("storage.checkpoint_failed %s", error)
