"""What one connection lacks, read piece by piece: the log, pages of rows, windows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Mapping

from pylon import limits
from pylon.clock import Clock
from pylon.errors import PylonError, ResyncRequired
from pylon.identity import Identity
from pylon.policy.sqlclause import SqlClause, both
from pylon.protocol.change import Cursor
from pylon.schema.model import Entity
from pylon.server.storage.change_log import read_head
from pylon.server.storage.database import Database
from pylon.server.storage.readers import READERS, ReadConnection
from pylon.server.storage.sync_select import count_visible, snapshot_page
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.channel import Connection, frame
from pylon.server.sync.projection import changes_frame
from pylon.server.sync.pump import Pump
from pylon.server.sync.subscriber import ReadLog, ReadPage, ReadWindow
from pylon.server.sync.subscription import Subscription
from pylon.server.sync.view import View

_log = logging.getLogger("pylon.sync")


_DRAIN_SECONDS = (0.005, 0.25)


class Reading:
    """Reads for connections, one piece of each at a time."""

    def __init__(
        self, database: Database, clock: Clock, queue_bytes_max: int, pump: Pump,
        resync: Callable[[Connection, str], None],
    ) -> None:  # fmt: skip
        """Make a reading.

        Args:
            database: what is read.
            clock: tells the time.
            queue_bytes_max: half of this queued, and nothing more is read for a connection.
            pump: has live frames wait while a piece is read.
            resync: has a connection start over.
        """
        self._database = database
        self._clock = clock
        self._queue_bytes_max = queue_bytes_max
        self._pump = pump
        self._resync = resync
        #: Pages are read one at a time, in turn, so that whoever lacks changes finds a reader.
        self._pages = asyncio.Semaphore(READERS - 1)
        self._refreshes = asyncio.Semaphore(limits.REFRESHES_AT_ONCE)
        #: Pages that are being read for all of a view that begin alike.
        self._shared: dict[Hashable, asyncio.Task[Page]] = {}

    def work(self, connection: Connection) -> None:
        """Read what is missing for a connection, one piece after the other."""
        if connection.is_closed or (connection.reader and not connection.reader.done()):
            return
        if connection.subscriber.next_read_is_due():
            connection.reader = asyncio.get_running_loop().create_task(self._read_for(connection))

    async def _read_for(self, connection: Connection) -> None:
        machine = connection.subscriber
        starts = machine.starts
        try:
            while not connection.is_closed and machine.starts == starts:
                await self._until_drained(connection)
                command = machine.next_read()
                if command is None:
                    break
                self._pump.pause(connection)
                match command:
                    case ReadLog(seq):
                        await self._read_log(connection, seq)
                    case ReadPage(subscription_id, after):
                        await self._read_page(connection, subscription_id, after)
                    case ReadWindow(subscription_id):
                        await self._read_window(connection, subscription_id)
                if machine.starts == starts:
                    self._pump.resume(connection)
        except ResyncRequired as error:
            self._resync(connection, str(error.details["reason"]))
        except PylonError as error:
            _log.warning("sync.read_failed %s", error.message)
            connection.close(1013, "try again", asyncio.get_running_loop())
        except Exception:  # noqa: BLE001 -- a socket that is told nothing more must not stay open
            _log.exception("sync.read_failed %s", connection.id)
            connection.close(1011, "internal error", asyncio.get_running_loop())

    async def _until_drained(self, connection: Connection) -> None:
        """Wait while much is queued; who never reads is closed meanwhile (`hub`)."""
        pause, longest = _DRAIN_SECONDS
        while not connection.is_closed and connection.queued_bytes > self._queue_bytes_max // 2:
            await self._clock.sleep(pause)
            pause = min(2 * pause, longest)

    async def _until_published(self, head: int) -> None:
        """Wait until a commit that a reader has seen is known here: frames never go back."""
        while self._database.head < head and self._database.writer.health == "ok":
            await self._clock.sleep(0.001)

    async def _read_log(self, connection: Connection, seq: int) -> None:
        """Read on from a connection's cursor; what its view was asked about already is not read.

        A large refresh is read page by page: each of them but the last is a batch of its own that
        moves no cursor.
        """
        view, epoch, starts = connection.view, self._database.epoch, connection.subscriber.starts
        assert view is not None, "who has greeted has a view"
        cursor = Cursor(epoch, max(seq, connection.judged))  # type: ignore[arg-type]
        anew = connection.subscriber.anew
        page = await self._log_page(connection, view, cursor)
        await self._until_published(page.head)
        if connection.view is not view or connection.subscriber.starts != starts:
            return  # subscriptions changed meanwhile: the same piece is read again
        through = seq if page.paging else page.through
        connection.write(frame(changes_frame(epoch, seq, through, page.tail, more=page.more)))
        if not page.paging:
            connection.subscriber.anew -= anew
        connection.subscriber.log_sent(through, more=page.more or bool(connection.subscriber.anew))
        connection.paging = page.paging
        connection.is_refreshed = bool(page.paging) or (connection.is_refreshed and page.more)
        connection.last_sent = self._clock.monotonic()

    async def _log_page(self, connection: Connection, view: View, cursor: Cursor) -> Page:
        """Return the next page of the log; those of equal views that begin alike are read once."""
        paging, listed = connection.paging, _listed_by(connection)
        anew = connection.subscriber.anew

        def read(reader: ReadConnection) -> Page:
            return read_page(
                reader, view, cursor, cursor.epoch, limits.PULL_LIMIT_MAX,
                reader.moment(self._clock), paging=paging, listed=listed, anew=anew,
            )  # fmt: skip

        if not connection.is_refreshed:
            return await self._database.readers.run(read, asker=connection.identity.asker)
        key = (view, cursor.seq, tuple(paging.items()), self._database.head)
        if listed or anew:
            return await self._refresh_page(read)
        task = self._shared.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._refresh_page(read))
            self._shared[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: Hashable, task: asyncio.Task[Page]) -> None:
        del self._shared[key]
        if not task.cancelled():
            task.exception()  # whoever waits for the page meets it himself

    async def _refresh_page(self, read: Callable[[ReadConnection], Page]) -> Page:
        """Read in turn: so many wait at most that whoever reads anything else is not held up."""
        async with self._refreshes:
            return await self._database.readers.run(read)

    async def _read_page(self, connection: Connection, subscription_id: str, after: str) -> None:
        machine, view = connection.subscriber, connection.view
        assert view is not None, "who has greeted has a view"
        wanted, starts = machine.subscriptions[subscription_id], machine.starts
        identity, part = connection.identity, wanted.part
        name = [wanted.entity.name, *(hop.entity.name for hop in wanted.reaches)][part]

        def read(reader: ReadConnection) -> tuple[bytes, str | None, int, int | None]:
            now = reader.moment(self._clock)
            parts = _parts(view, wanted, identity, now)
            entity, clause = parts[part]
            wire = view.entities[name].wire_clause(now)
            head, _ = read_head(reader.raw)
            total = wanted.total
            if total is None:
                total = sum([count_visible(reader.raw, *one) for one in parts[part:]])
            rows, last = snapshot_page(
                reader.raw, entity, clause, after, limits.SNAPSHOT_PAGE_ROWS,
                limits.FRAME_BYTES_MAX, wire,
            )  # fmt: skip
            return rows, last, head, total

        async with self._pages:
            rows, last, head, total = await self._database.readers.run(read, asker=identity.asker)
        await self._until_published(head)
        if (
            machine.subscriptions.get(subscription_id) is not wanted
            or machine.starts != starts
            or connection.identity is not identity
        ):
            return  # it is another's, or nobody's, by now
        counted = f',"total":{total}' if wanted.total is None else ""
        wanted.total = total
        start = f'{{"type":"snapshot","subscription":"{subscription_id}","entity":"{name}","rows":['
        done = "true" if last is None and part == len(wanted.reaches) else "false"
        end = f'],"at":"{self._database.cursor(head)}","done":{done}{counted}}}'
        connection.write(frame(b"".join((start.encode(), rows, end.encode()))))
        machine.page_sent(subscription_id, last)

    async def _read_window(self, connection: Connection, subscription_id: str) -> None:
        machine = connection.subscriber
        wanted, starts = machine.subscriptions[subscription_id], machine.starts
        window = connection.windows[subscription_id]
        rows, head = await self._pump.windows.rows_of(window)
        if machine.starts != starts:
            return  # it was marked again when it started over
        if connection.windows.get(subscription_id) is not window:
            machine.mark_window(subscription_id)
            return
        # Where fields have policies of their own, a row may change for a caller at the same seq.
        listed: dict[str, Hashable] = {
            row_id: (seq, wire) if window.seen.fields else seq for row_id, wire, seq in rows
        }
        before, is_doubtful, wanted.is_doubtful = wanted.listed, wanted.is_doubtful, False
        is_same = before is not None and list(before.items()) == list(listed.items())
        if is_same and not is_doubtful:
            return
        fresh = [wire for row_id, wire, _ in rows if (before or {}).get(row_id) != listed[row_id]]
        ids = ",".join(f'"{row_id}"' for row_id in listed)
        connection.send_text(
            f'{{"type":"window","subscription":"{subscription_id}","ids":[{ids}],'
            f'"rows":[{",".join(fresh)}],"at":"{self._database.cursor(head)}",'
            f'"version":{wanted.version}}}'
        )
        wanted.listed = listed


def _parts(
    view: View, one: Subscription, identity: Identity, now: str
) -> list[tuple[Entity, SqlClause]]:
    """Return whose rows its pages are of, and what selects them: its own, then hop by hop."""
    policy, _ = view.entities[one.entity.name].clauses(now)
    own = both(policy, one.filter.clause(identity, alias="t", now=now))
    led = [(hop.entity, hop.clause(identity, "t", now, as_set=True)) for hop in one.reaches]
    return [(one.entity, own), *led]


def _listed_by(connection: Connection) -> Mapping[str, Collection[str]]:
    """Return, by entity, the rows that a connection's windows list: no refresh removes those."""
    found: dict[str, dict[str, Hashable]] = {}
    for one in connection.subscriber.subscriptions.values():
        if one.is_window and one.listed:
            found.setdefault(one.entity.name, {}).update(one.listed)
    return found
