"""What one connection lacks, read piece by piece: the log, pages of rows, windows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pylon import limits
from pylon.clock import Clock, iso_ms
from pylon.errors import PylonError, ResyncRequired
from pylon.policy.sqlclause import both
from pylon.protocol.change import Cursor
from pylon.server.storage.change_log import read_head
from pylon.server.storage.database import Database
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.sync_select import count_visible, snapshot_page, window_page
from pylon.server.sync.catch_up import Page, read_page
from pylon.server.sync.channel import Connection, frame
from pylon.server.sync.projection import changes_frame
from pylon.server.sync.subscriber import ReadLog, ReadPage, ReadWindow
from pylon.server.sync.subscription import Subscription

_log = logging.getLogger("pylon.sync")


class Reading:
    """Reads for connections, one piece of each at a time."""

    def __init__(
        self, database: Database, clock: Clock, queue_bytes_max: int, *,
        catch_tail: Callable[[Connection], None], resync: Callable[[Connection, str], None],
    ) -> None:  # fmt: skip
        """Make a reading.

        Args:
            database: what is read.
            clock: tells the time.
            queue_bytes_max: half of this queued, and nothing more is read for a connection.
            catch_tail: sends what was committed meanwhile.
            resync: has a connection start over.
        """
        self._database = database
        self._clock = clock
        self._queue_bytes_max = queue_bytes_max
        self._catch_tail = catch_tail
        self._resync = resync

    def work(self, connection: Connection) -> None:
        """Read what is missing for a connection, one piece after the other."""
        if connection.is_closed or (connection.reader and not connection.reader.done()):
            return
        if connection.subscriber.next_read_is_due():
            connection.reader = asyncio.get_running_loop().create_task(self._read_for(connection))

    async def _read_for(self, connection: Connection) -> None:
        machine = connection.subscriber
        try:
            while not connection.is_closed:
                if connection.queued_bytes > self._queue_bytes_max // 2:
                    return  # the tick comes back when it has drained
                command = machine.next_read()
                if command is None:
                    break
                connection.is_reading = True
                match command:
                    case ReadLog(seq):
                        await self._read_log(connection, seq)
                    case ReadPage(subscription_id, after):
                        await self._read_page(connection, subscription_id, after)
                    case ReadWindow(subscription_id):
                        await self._read_window(connection, subscription_id)
                connection.is_reading = False
                self._catch_tail(connection)
        except ResyncRequired as error:
            self._resync(connection, str(error.details["reason"]))
        except PylonError as error:
            _log.warning("sync.read_failed %s", error.message)
            connection.close(1013, "try again", asyncio.get_running_loop())
        finally:
            connection.is_reading = False

    async def _read_log(self, connection: Connection, seq: int) -> None:
        view, epoch = connection.view, self._database.epoch
        starts = connection.subscriber.starts
        if view is None:
            return
        cursor = Cursor(epoch, seq)  # type: ignore[arg-type]
        now = iso_ms(self._clock.now_ms())
        page: Page = await self._database.readers.run(
            lambda reader: read_page(reader, view, cursor, epoch, limits.PULL_LIMIT_MAX, now)
        )
        machine = connection.subscriber
        if connection.view is not view or machine.cursor != seq or machine.starts != starts:
            return  # subscriptions changed meanwhile: the same piece is read again
        connection.write(frame(changes_frame(epoch, seq, page.through, page.tail, more=page.more)))
        connection.subscriber.log_sent(page.through, more=page.more)
        connection.last_sent = self._clock.monotonic()

    async def _read_page(self, connection: Connection, subscription_id: str, after: str) -> None:
        wanted = connection.subscriber.subscriptions[subscription_id]
        clause, starts = self._visible(connection, wanted), connection.subscriber.starts
        is_first = after == "" and wanted.total is None

        def read(reader: ReadConnection) -> tuple[str, str | None, int, int | None]:
            head, _ = read_head(reader.raw)
            total = count_visible(reader.raw, wanted.entity, clause) if is_first else None
            rows, last, _ = snapshot_page(
                reader.raw, wanted.entity, clause, after, limits.SNAPSHOT_PAGE_ROWS
            )
            return rows, last, head, total

        rows, last, head, total = await self._database.readers.run(read)
        if not _is_wanted_still(connection, wanted, starts):
            return
        done = "true" if last is None else "false"
        counted = "" if total is None else f',"total":{total}'
        wanted.total = total if total is not None else wanted.total
        connection.send_text(
            f'{{"type":"snapshot","subscription":"{subscription_id}","entity":'
            f'"{wanted.entity.name}","rows":[{rows}],"at":"{self._database.cursor(head)}",'
            f'"done":{done}{counted}}}'
        )
        connection.subscriber.page_sent(subscription_id, last)

    async def _read_window(self, connection: Connection, subscription_id: str) -> None:
        wanted = connection.subscriber.subscriptions[subscription_id]
        clause, starts = self._visible(connection, wanted), connection.subscriber.starts
        order = ", ".join(
            f't."{term.field}"{" DESC" if term.descending else ""}' for term in wanted.order
        )

        def read(reader: ReadConnection) -> tuple[list[tuple[str, str, int]], int]:
            head, _ = read_head(reader.raw)
            return (
                window_page(reader.raw, wanted.entity, clause, order, wanted.limit or 1),
                head,
            )

        rows, head = await self._database.readers.run(read)
        if not _is_wanted_still(connection, wanted, starts):
            return
        listed = {row_id: seq for row_id, _, seq in rows}
        before = wanted.listed
        if before is not None and list(before.items()) == list(listed.items()):
            return
        fresh = [wire for row_id, wire, seq in rows if (before or {}).get(row_id) != seq]
        ids = ",".join(f'"{row_id}"' for row_id in listed)
        connection.send_text(
            f'{{"type":"window","subscription":"{subscription_id}","ids":[{ids}],'
            f'"rows":[{",".join(fresh)}],"at":"{self._database.cursor(head)}",'
            f'"version":{wanted.version}}}'
        )
        wanted.listed = listed

    def _visible(self, connection: Connection, wanted: Subscription) -> Any:
        view = connection.view
        assert view is not None
        now = iso_ms(self._clock.now_ms())
        policy, _ = view.entities[wanted.entity.name].clauses(now)
        return both(policy, wanted.filter.clause(connection.identity, alias="t", now=now))


def _is_wanted_still(connection: Connection, wanted: Subscription, starts: int) -> bool:
    """Tell whether what was read is still asked for: by the same caller, from the same place."""
    machine = connection.subscriber
    return machine.starts == starts and machine.subscriptions.get(wanted.id) is wanted
