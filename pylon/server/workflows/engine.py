"""The engine of workflows: drives runs that have something to do, some at a time.

A commit (`RunMoved`), the end of a drive, or a due time has it go round (`jobs.rounds`); a run that
waits costs neither task nor memory. What one run does is `run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from typing import Final

from pylon import jsonvalue, limits
from pylon.clock import Clock
from pylon.errors import PylonError
from pylon.server.jobs.rounds import AGAIN_SECONDS, Rounds
from pylon.server.storage import workflows
from pylon.server.storage.database import Database
from pylon.server.storage.forgetting import AT_ONCE, keep_forgetting
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import RunMoved, RunState
from pylon.server.workflows.run import Drive
from pylon.server.workflows.tools import Tools

_log = logging.getLogger("pylon.workflows")
#: What drives get to end by themselves at a stop.
_STOP_SECONDS: Final = 0.5
_RELEASE_SECONDS: Final = 0.8
_AT_ONCE: Final = 500
#: How long a run waits whose process ended while it was at work, by how often in a row.
_LOST_SECONDS: Final = (0.0, 0.0, 5.0, 15.0, 30.0)
_LOST: Final = jsonvalue.encode_text(
    {
        "code": "WORKFLOW_LOST",
        "message": f"the process ended {limits.WORKFLOW_LOSSES_MAX} times while it was at work"
        " on one step",
        "details": {}, "is_refusal": False,
    }
)  # fmt: skip


class Engine:
    """Drives the workflows of one runtime."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self._database: Database = tools.database
        self._clock: Clock = tools.clock
        self._rounds = Rounds("workflows", tools.clock, self._round, _log)
        self.active: dict[int, Drive] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._is_reloaded = False
        #: There may be runs that have something to do, and are not driven.
        self._has_line = True
        self._cleaner: asyncio.Task[None] | None = None

    # --- life

    async def start(self) -> None:
        """Take up what the process before this one left, and begin."""
        await self._database.writer.submit(_take_up)
        self._is_reloaded = True
        self._database.writer.on_notice(self._noticed)
        self._cleaner = asyncio.get_running_loop().create_task(
            keep_forgetting(
                self._database, self._clock, lambda it: workflows.forget(it, at_most=AT_ONCE), _log
            ),
            name="pylon-workflows-forget",
        )
        self._rounds.start()

    async def stop(self) -> None:
        """Start nothing more, and leave what does not end within a moment to the next process."""
        if self._cleaner is not None:
            self._cleaner.cancel()
            await asyncio.gather(self._cleaner, return_exceptions=True)
        await self._rounds.stop()
        driving = list(self._tasks.values())
        if driving:
            await asyncio.wait(driving, timeout=_STOP_SECONDS)
        for one in driving:
            one.cancel()
        await asyncio.gather(*driving, return_exceptions=True)
        async with asyncio.timeout(_RELEASE_SECONDS):
            await self._database.writer.submit(workflows.release)

    def app_reloaded(self) -> None:
        """Go on with the new code: runs under way at their next step, diverged ones now."""
        self._is_reloaded = True
        for drive in self.active.values():
            drive.wake.set()
        self._rounds.wake()

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is driven, and nothing would be without time passing."""
        return not (self.active or self._has_line or self._is_reloaded or self._rounds.is_due)

    def next_due_ms(self) -> int | None:
        """Return when the next run goes on by itself, Unix ms; None where none does."""
        return workflows.next_wake(self._database.readers.inline.raw)

    def next_due(self) -> tuple[int, str] | None:
        """Return when that is, and the name of its workflow."""
        return workflows.next_woken(self._database.readers.inline.raw)

    def time_moved(self) -> None:
        """Look at what is due: the wall time is another, and no timer knows."""
        self._rounds.time_moved()

    def is_quiet(self, without: Set[str]) -> bool:
        """Tell whether nothing is driven but these, and nothing waits to be."""
        is_round = self._rounds.is_due or self._has_line
        return not is_round and self.under_way().keys() <= without

    def under_way(self) -> dict[str, str]:
        """Return the names of the workflows of runs that are driven, by the runs' ids."""
        return {drive.id: drive.name for drive in self.active.values()}

    async def round_over(self) -> None:
        """Return when the next round is over."""
        await self._rounds.over()

    # --- being woken

    def _noticed(self, notice: object) -> None:
        if not isinstance(notice, RunMoved):
            return
        self.tools.observer.note_workflow(notice.id)
        drive = self.active.get(notice.n)
        match notice.state:
            case RunState.RUNNING:
                if notice.wake_at is not None:
                    self._rounds.wake_by(notice.wake_at)
                elif drive is not None:
                    drive.wake.set()
                else:
                    self._has_line = True
                    self._rounds.wake()
            case RunState.PARKED:
                if notice.wake_at is not None:
                    self._rounds.wake_by(notice.wake_at)
            case RunState.CANCELLED:
                if drive is not None:
                    self._tasks[notice.n].cancel()
            case _:
                if drive is not None:
                    drive.wake.set()

    # --- rounds

    async def _round(self) -> None:
        """Wake what is due, drive what there is room for, and set the timer."""
        if self._is_reloaded:
            self._is_reloaded = False
            self._has_line = True
            while (
                await self._database.writer.submit(lambda it: workflows.try_diverged(it, _AT_ONCE))
            ).value:
                pass
        raw = self._database.readers.inline.raw
        due = workflows.next_wake(raw)
        if due is not None and due <= self._clock.now_ms():
            woken, has_more = (
                await self._database.writer.submit(lambda it: workflows.wake_due(it, _AT_ONCE))
            ).value
            for n in woken:
                drive = self.active.get(n)
                if drive is not None:
                    drive.wake.set()
            self._has_line = True
            if has_more:
                self._rounds.wake()
        self._fill()
        # Read now, and nothing awaited after: what is parked from here on sets the timer itself.
        self._rounds.wake_next(workflows.next_wake(raw))

    def _fill(self) -> None:
        free = limits.WORKFLOWS_ACTIVE_MAX - len(self.active)
        if not self._has_line or free <= 0:
            return
        reader = self._database.readers.inline.raw
        # From here on it is told of what comes.
        line = workflows.in_line(reader, len(self.active) + free + 1)
        waiting = [one for one in line if one[0] not in self.active]
        self._has_line = len(waiting) > free
        for n, run_id, name in waiting[:free]:
            drive = self.active[n] = Drive(self.tools, n, run_id, name)
            self._tasks[n] = asyncio.get_running_loop().create_task(
                self._drive(drive), name=f"pylon-workflow-{n}"
            )

    async def _drive(self, drive: Drive) -> None:
        try:
            await drive.drive()
        except Exception:  # noqa: BLE001 -- one run's end must not end the others
            _log.exception("workflow.stopped %d", drive.n)
            await self._put_off(drive.n)
        finally:
            del self.active[drive.n]
            del self._tasks[drive.n]
            # It may have been woken since it was parked.
            self._has_line = True
            self._rounds.wake()

    async def _put_off(self, n: int) -> None:
        """Have a run wait that can't be driven now, so that it keeps nobody busy."""
        try:
            await self._database.writer.submit(
                lambda it: workflows.park(it, n, it.now_ms + int(_LOST_SECONDS[-1] * 1000))
            )
        except PylonError:
            await self._clock.sleep(AGAIN_SECONDS)

    # --- the past


def _take_up(transaction: Transaction) -> None:
    """Count what the process before this one was at work on, so that nothing kills for ever."""
    for n, lost in workflows.count_losses(transaction):
        if lost >= limits.WORKFLOW_LOSSES_MAX:
            workflows.finish(transaction, n, RunState.FAILED, error=_LOST)
        elif lost >= 1:
            wait_s = _LOST_SECONDS[min(lost, len(_LOST_SECONDS) - 1)]
            if wait_s:
                workflows.park(transaction, n, transaction.now_ms + int(wait_s * 1000))
