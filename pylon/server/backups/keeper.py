"""Keeps the backups of one project: on its schedule and by hand, each proven by restoring it.

One thing is done at a time; what it is, and since when, is in `doing`. Everything goes by the
machine's clock: a warped one makes no backup due. What does not live here: how a copy is made
(`storage.backup`), proven (`prover`), and put in place (`restoring`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits_keeping
from pylon.clock import Clock, iso_ms
from pylon.errors import Conflict, PylonError
from pylon.printable import refusal_words
from pylon.server.backups import places
from pylon.server.backups.plan import droppable, due_ms
from pylon.server.backups.prover import prove_apart, sha256_of
from pylon.server.backups.records import AUTOMATIC, Away, BackupFolder, Record, new_name
from pylon.server.backups.settings import BackupSettings
from pylon.server.files import copying
from pylon.server.storage import backup
from pylon.server.storage.backup import BackupFailed
from pylon.server.storage.place import place_in_use

_log = logging.getLogger("pylon.backups")
_LOOK_SECONDS: Final = 20.0
#: What the folder holds is read anew so often, at most, for the status.
_FRESH_SECONDS: Final = 5.0

Prove = Callable[[Path, Path, Mapping[str, Any] | None], Awaitable[dict[str, Any]]]


class BackupKeeper:
    """Makes, proves, sends, lists and drops the backups of one project."""

    def __init__(
        self, data: Path, clock: Clock, settings: BackupSettings, *, prove: Prove = prove_apart
    ) -> None:
        """Make a keeper; `start` has it go by the schedule.

        Args:
            data: the project's `.pylon`.
            clock: tells the time.
            settings: what `[backup]` says.
            prove: restores a copy into a temporary place and says what is wrong with it.
        """
        self._data = data
        self._clock = clock
        self.settings = settings
        self.folder = BackupFolder(settings.folder)
        self._prove = prove
        self._since_ms = clock.machine_ms()
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Task[Any] | None = None
        #: What is done now: `what`, `name`, `since` (Unix ms); None for nothing.
        self.doing: dict[str, Any] | None = None
        #: Why the last restore came to nothing: `name`, `why`.
        self.restore_failed: dict[str, str] | None = None
        #: Copies that were to be proven since the start: what can't begin is not begun for ever,
        #: and those behind it have their turn.
        self._tried: set[str] = set()
        self._seen: list[Record] = []
        self._seen_at = -_FRESH_SECONDS

    # --- life

    def start(self) -> None:
        """Go by the schedule until `stop()`, and sweep what was left."""
        self._sweep()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="pylon-backups")

    async def stop(self) -> None:
        """Stop; a backup under way is given up, and leaves nothing under its name."""
        for task in (self._task, self._work):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._task = self._work = None

    def _sweep(self) -> None:
        """Remove what was left by what was cut off."""
        with suppress(OSError):
            self.folder.sweep(self._clock)
            backup.sweep(self.folder.path, self._clock)
            # A restore that was killed before it put anything in place: a second name, no copy.
            for one in self.folder.path.glob("before-*.db"):
                if one.samefile(place_in_use(self._data).path):
                    self.folder.drop(one.stem)

    async def _run(self) -> None:
        has_more = True
        while has_more:  # without a schedule, only what is left to be proven is seen to
            await self._clock.sleep(_LOOK_SECONDS)
            is_idle = self.doing is None
            if is_idle:
                await self._try_step()
            has_more = bool(self.settings.plan.text) or not is_idle or self._is_any_left()

    async def _try_step(self) -> None:
        try:
            with suppress(PylonError):  # it is in the records, and in the log
                await self.step()
        except OSError as error:
            _log.error("backup.schedule_failed %s; trying again", error)
        except Exception:  # noqa: BLE001 -- without this task there is no schedule any more
            _log.exception("backup.schedule_failed trying again")

    def _is_any_left(self) -> bool:
        with suppress(OSError):  # the folder can't be read: there is nothing to be proven in it
            self.records()
            return self._left_to_prove() is not None
        return False

    async def step(self) -> None:
        """Make the scheduled backup that is due, or prove a copy that is left to be proven."""
        due = self.next_due()
        if due is not None and due <= self._clock.machine_ms():
            await self.make("scheduled", self.settings.to)
            return
        left = self._left_to_prove()
        if left is not None:
            self._tried.add(left.name)
            await self.verify(left.name)

    def _left_to_prove(self) -> Record | None:
        """Return a copy whose proof was cut off, or one of before something final; None: no more.

        Each is begun once, where there is room. What a person put there is proven when he asks.
        """
        for one in self._seen:
            is_own = bool(one.sha256) or one.kind in AUTOMATIC
            is_left = one.state == "unproven" and is_own and one.name not in self._tried
            # A second copy of it lies on the disk meanwhile: nobody asked for a full one.
            if is_left and not self.folder.room_for(one.bytes):
                return one
        return None

    # --- what there is

    def records(self) -> list[Record]:
        """Return every backup and failed try, the newest first."""
        with suppress(OSError):  # it was said when it was held, and is listed as it is
            self.folder.write_held()
        self._seen = self.folder.all()
        self._seen_at = self._clock.monotonic()
        return self._seen

    def next_due(self) -> int | None:
        """Return when the next scheduled one is due, Unix ms of the machine, or None."""
        now_ms = self._clock.machine_ms()
        # The clock may have been set back since the start: that one counts from here on.
        self._since_ms = min(self._since_ms, now_ms)
        return due_ms(self.settings.plan, self.records(), self._since_ms, now_ms)

    def status(self) -> dict[str, Any]:
        """Return what the header shows: the last proven one, and whether the last try failed."""
        if self._clock.monotonic() - self._seen_at > _FRESH_SECONDS:
            self.records()
        now_ms = self._clock.machine_ms()
        # A copy of before something final is none of what came of that.
        good = (one for one in self._seen if one.state == "proven" and one.kind not in AUTOMATIC)
        proven = max((one.proven_ms or 0 for one in good), default=0)
        last = next((one for one in self._seen if one.kind in ("scheduled", "hand")), None)
        away = None if last is None or not last.away else last.away[-1]
        is_failed = last is not None and (last.state == "failed" or _is_bad(away))
        why = ""
        if last is not None and is_failed:
            why = last.why or (away.why if away is not None else "")
        return {
            "proven_at": iso_ms(proven) if proven else None,
            "proven_age_s": max(0, now_ms - proven) // 1000 if proven else None,
            "last": None if last is None else last.name,
            "last_state": None if last is None else "failed" if is_failed else last.state,
            "why": why, "schedule": self.settings.plan.text, "doing": self.doing,
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Return everything: the backups, the schedule, and what is done now."""
        now_ms, due = self._clock.machine_ms(), self.next_due()
        return {
            **self.status(), "backups": [one.to_json(now_ms) for one in self._seen],
            "next_at": None if due is None else iso_ms(due), "folder": str(self.folder.path),
            "keep_daily": self.settings.keep_daily, "keep_weekly": self.settings.keep_weekly,
            "to": self.settings.to, "restore_failed": self.restore_failed,
        }  # fmt: skip

    # --- what is done, one thing at a time

    async def begin(self, what: Coroutine[Any, Any, Any]) -> None:
        """Have something be done while the caller goes on; how it went is in the records.

        Raises Conflict while something else is done.
        """
        try:
            self.demand_idle()
        except Conflict:
            what.close()
            raise
        self._work = asyncio.get_running_loop().create_task(_quietly(what))
        await asyncio.sleep(0)  # from here on it is what is being done

    def demand_idle(self) -> None:
        """Raise Conflict while something is done."""
        if self.doing is not None:
            raise Conflict(
                f"a backup is {self.doing['what']} at the moment: {self.doing['name']}",
                hint="wait until it is done: pylon backups",
            )

    async def make(self, kind: str, to: str = "", name: str | None = None) -> Record:
        """Copy the database and its files, prove the copy, send it away; returns the record.

        Raises BackupFailed where there is no copy; a record says so. A copy that could not be
        proven, or not be sent, is in its record.
        """
        self.demand_idle()
        name = name or new_name(self._clock)
        record = Record(name=name, kind=kind, at_ms=self._clock.machine_ms(), state="unproven")
        started = self._clock.monotonic()
        self.now("copying", name)
        try:
            try:
                record = await self._copied(record)
            except (PylonError, OSError) as error:
                raise self._failed(record, error) from error
            # From here on there is a copy: whatever fails, it stays.
            self._keep(record)
            try:
                record = await self._proven(record, started)
            except (PylonError, OSError) as error:
                record = replace(record, why=f"not proven: {_why(error)}")
                self._keep(record)
            if to and record.state == "proven":
                record = await self._sent(record, to)
        finally:
            self.doing = None
        if record.state == "proven":
            _log.info("backup.proven %s bytes=%d ms=%d", name, record.bytes, record.took_ms)
        else:
            _log.error("backup.not_proven %s: %s", name, record.why)
        self._drop_old()
        return record

    def _failed(self, record: Record, error: PylonError | OSError) -> BackupFailed:
        """Note that there is no copy; returns why."""
        why = _why(error)
        with suppress(OSError):  # a full disk, perhaps, or a folder that is none
            self.folder.drop(record.name)
        self._keep(replace(record, state="failed", why=why, bytes=0, contents=None))
        _log.error("backup.failed %s: %s", record.name, why)
        return BackupFailed(why, hint=getattr(error, "hint", None))

    def _keep(self, record: Record) -> None:
        """Write a record down; where the disk takes nothing it is known here, and written later."""
        try:
            self.folder.keep(record)
        except OSError as error:
            _log.error("backup.not_written %s: %s", record.name, error)
        self.records()

    async def _copied(self, record: Record) -> Record:
        source, target = place_in_use(self._data).path, self.folder.file(record.name)
        self.folder.prepare()
        if len(self.records()) >= limits_keeping.BACKUPS_MAX:
            raise BackupFailed(
                f"there are {limits_keeping.BACKUPS_MAX} backups",
                hint="drop some: pylon backups drop NAME",
            )
        size = source.stat().st_size if source.is_file() else 0
        if why := self.folder.room_for(size):
            raise BackupFailed(f"there is no room for a backup: {why}")
        copy, held = await backup.make_copy(source, self.folder.path, is_live=True)
        try:
            files = None
            if self.settings.has_own_files:
                self.now("copying files", record.name)
                wanted = await copying.hashes_in(copy)
                blobs = [copying.blobs_of(self._data)]
                done = await asyncio.to_thread(
                    copying.copy_blobs, blobs, copying.beside(target), wanted
                )
                files = {"contents": done.contents, "bytes": done.bytes}
            backup.publish(copy, target)
        except BaseException:
            copy.unlink(missing_ok=True)
            shutil.rmtree(copying.beside(target), ignore_errors=True)
            raise
        return replace(
            record, bytes=target.stat().st_size, contents=held.to_json(), files=files,
            sha256=await asyncio.to_thread(sha256_of, target),
        )  # fmt: skip

    async def _proven(self, record: Record, started: float) -> Record:
        self.now("being proven", record.name)
        report = await self._prove(self.folder.file(record.name), self.folder.path, record.contents)
        faults = list(report["faults"])
        if record.sha256 and report["sha256"] and report["sha256"] != record.sha256:
            faults.insert(0, "the file has other bytes than when it was made")
        took_ms = round((self._clock.monotonic() - started) * 1000)
        record = replace(
            record, state="failed" if faults else "proven", why="; ".join(faults)[:2_000],
            took_ms=took_ms, proven_ms=None if faults else self._clock.machine_ms(),
            contents=record.contents or report["contents"],
            files=record.files or report["files"], sha256=record.sha256 or report["sha256"],
        )  # fmt: skip
        self._keep(record)
        return record

    async def verify(self, name: str) -> Record:
        """Prove a backup anew, whoever made it; raises NotFound, Conflict."""
        self.demand_idle()
        record = self.folder.find(name)
        if not record.bytes:
            raise Conflict(f"{name} has no copy: {record.why}")
        self.now("being proven", name)
        try:
            return await self._proven(record, self._clock.monotonic())
        finally:
            self.doing = None

    async def send(self, name: str, to: str) -> Record:
        """Send a backup off this machine; raises NotFound, Conflict, BackupFailed."""
        self.demand_idle()
        record = self.folder.find(name)
        try:
            record = await self._sent(record, to)
        finally:
            self.doing = None
        if _is_bad(record.away[-1]):
            raise BackupFailed(record.away[-1].why)
        return record

    async def _sent(self, record: Record, to: str) -> Record:
        self.now("being sent", record.name)
        now_ms, file = self._clock.machine_ms(), self.folder.file(record.name)
        try:
            place = places.open_place(to, self.settings.keys)
            values = {**record.to_json(now_ms), "at_ms": record.at_ms}
            await places.send(place, file, record.sha256, jsonvalue.encode(values))
            away = Away(to=to, at_ms=self._clock.machine_ms(), state="proven")
        except (PylonError, OSError, ValueError) as error:
            why = f"not sent: {getattr(error, 'message', error)}"
            away = Away(to=to, at_ms=now_ms, state="failed", why=why)
            _log.error("backup.not_sent %s to %s: %s", record.name, to, why)
        others = tuple(one for one in record.away if one.to != to)
        record = replace(record, away=(*others, away))
        self._keep(record)
        return record

    def drop(self, name: str) -> Record:
        """Remove a backup; raises NotFound, and Conflict while something is done with one."""
        self.demand_idle()
        record = self.folder.find(name)
        self.folder.drop(name)
        self.records()
        return record

    def _drop_old(self) -> None:
        settings = self.settings
        for one in droppable(self.records(), settings.keep_daily, settings.keep_weekly):
            try:
                self.folder.drop(one.name)
            except OSError as error:
                _log.error("backup.not_dropped %s: %s", one.name, error)
            else:
                _log.info("backup.dropped %s", one.name)
        self.records()

    def now(self, what: str, name: str) -> None:
        """Note what is done with which backup."""
        since = self._clock.machine_ms()
        self.doing = {"what": what, "name": name, "since": iso_ms(since), "pid": os.getpid()}


def _is_bad(away: Away | None) -> bool:
    return away is not None and away.state == "failed"


async def _quietly(what: Awaitable[Any]) -> None:
    try:
        with suppress(PylonError):  # it is in a record, and in the log
            await what
    except OSError as error:
        _log.error("backup.cut_off %s", error)


def _why(error: PylonError | OSError) -> str:
    return error.message if isinstance(error, PylonError) else refusal_words(error)
