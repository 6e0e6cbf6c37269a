"""Erasing a person: account, rows, their history, answers, jobs, mails, files, search.

The account and its rows go first, as ordinary changes that reach every client. Then no cursor of
before is served any more (who has one starts over), and what the tables of our own still have of
him is removed, in pieces that hold nobody up. Who is being erased is written down until nothing is
left: killed in between, the next start goes on, and where the storage fails (a full disk), this
process does as soon as it takes writes again. What is refused is not tried again unasked.
"""

from __future__ import annotations

import asyncio
import email
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from email.utils import getaddresses
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from pylon.errors import NotFound, PylonError, Unavailable
from pylon.schema.model import OnDelete
from pylon.server.auth.own_data import OwnData
from pylon.server.files.sweeper import Sweeper
from pylon.server.storage import accounts, change_log, erasing, letting_go
from pylon.server.storage.apart import Apart
from pylon.server.storage.database import Database
from pylon.server.storage.erasing import Found, Person
from pylon.server.storage.search_index import SearchIndex, index_of
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import Error

_log = logging.getLogger("pylon.erasing")
_READ_AT_ONCE: Final = 5_000
_WRITTEN_AT_ONCE: Final = 200
_SECONDS_OF_A_READ: Final = 60.0
#: Between two tries to go on; so often doubled at most, while they fail.
_AGAIN_SECONDS: Final = 2.0
_DOUBLINGS_MAX: Final = 7
#: Whether something holds on to him is tried out apart: he may have very many rows.
_REHEARSAL: Final = Apart("erasing", 600.0)
_MERGE_STEPS_MAX: Final = 10_000
_T = TypeVar("_T")


@dataclass(slots=True)
class Erased:
    """How much of somebody went, and what still names him: rows, jobs and runs of others."""

    user_id: str
    email: str | None
    records: int = 0
    rows: int = 0
    answers: int = 0
    jobs: int = 0
    runs: int = 0
    mails: int = 0
    files: int = 0
    rows_left: int = 0
    work_left: int = 0


class Eraser:
    """Erases one person at a time; one per runtime."""

    def __init__(self, database: Database, own_data: OwnData, sweeper: Sweeper) -> None:
        self._database = database
        self._own_data = own_data
        self._sweeper = sweeper
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        #: Somebody may have been begun with, and not brought to an end.
        self._unfinished = asyncio.Event()

    # --- what was begun and did not end

    def start(self) -> None:
        """Go on with what the process before this one did not end, and later with what fails."""
        self._unfinished.set()
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="pylon-eraser")

    async def stop(self) -> None:
        """Stop; what is left is gone on with at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        failures = 0
        while True:
            await self._unfinished.wait()
            if self._database.writer.health == "ok":
                try:
                    await self._resume()
                except PylonError as error:
                    _log.warning("erasing.failed %s; it goes on later", error.message)
                    self._unfinished.set()
                except Exception:  # noqa: BLE001 -- without this task nobody goes on with anybody
                    _log.exception("erasing.failed trying again")
                    self._unfinished.set()
                failures = failures + 1 if self._unfinished.is_set() else 0
            else:
                failures = 0  # the storage tells by itself when it takes writes again
            wait_s = _AGAIN_SECONDS * 2 ** min(failures, _DOUBLINGS_MAX)
            await self._database.clock.sleep(wait_s)

    async def _resume(self) -> None:
        async with self._turn:
            self._unfinished.clear()
            for person in await self._read(erasing.read_people):
                _log.info("erasing.resumed %s", person.user_id)
                await self._try_to_end(person)

    async def _try_to_end(self, person: Person) -> None:
        """Go on with somebody; what is in the way of it is not in the way of others."""
        try:
            await self._end(person)
        except Unavailable as error:
            _log.warning("erasing.failed %s %s; it goes on later", person.user_id, error.message)
        except PylonError as error:
            _log.warning("erasing.stuck %s %s; erase him again", person.user_id, error.message)

    # --- erasing

    async def erase(self, user_id: str) -> dict[str, Any]:
        """Erase an account and everything that is its own; answers what went and what is left.

        Raises NotFound, and Conflict where a row refers to it, or to what goes with it, with
        on_delete="restrict": nothing has changed then. Where the storage fails, who was begun with
        is gone on with later.
        """
        async with self._turn:
            begun = None
            for one in await self._read(erasing.read_people):
                if one.user_id == user_id:
                    begun = one
                else:  # whoever was begun with before is brought to an end, where that can be
                    await self._try_to_end(one)
            return asdict(await self._end(begun or await self._begin(user_id)))

    async def _begin(self, user_id: str) -> Person:
        account = accounts.account_by_id(self._database.readers.inline.rows, user_id)
        if account is None:
            raise NotFound(f"there is no account {user_id}")
        await self._demand_unrestricted(user_id)
        return Person(user_id, account.email, self._database.head)

    async def _demand_unrestricted(self, user_id: str) -> None:
        for entity, field in self._database.schema.referrers.get("User", ()):
            count = letting_go.count_referring(
                self._database.readers.inline.rows, entity, field, user_id
            )
            if count and field.on_delete is OnDelete.RESTRICT:
                raise letting_go.restricted(entity, field, count)
        if letting_go.holds_on(self._database.schema):
            with suppress(letting_go.Rehearsed):
                await self._database.writer.submit(
                    partial(letting_go.rehearse, user_id=user_id), apart=_REHEARSAL
                )

    async def _end(self, person: Person) -> Erased:
        """Erase all that is left of him; the caller has the turn.

        What fails goes on by itself. What is refused would be again: it waits for somebody.
        """
        try:
            return await self._erase(person)
        except Unavailable:
            self._unfinished.set()
            raise
        except (Error, OSError) as error:
            self._unfinished.set()
            raise Unavailable(
                f"something of him could not be removed: {error}", reason="erasing",
                hint="see to that; it goes on by itself",
            ) from error  # fmt: skip

    async def _erase(self, person: Person) -> Erased:
        erased = Erased(person.user_id, person.email)
        before = await self._overwrite(1)
        try:
            if not person.is_gone:
                await self._write(partial(erasing.note_person, person=person))
                await self._delete_rows(person)
                person = await self._delete_account(person)
            await self._remove_traces(person, erased)
            await self._empty_journal()  # while it is written down: it may have to be done again
            await self._write(partial(erasing.forget_person, user_id=person.user_id))
        finally:
            # A connection that is closed takes it with it: the next one begins as all do.
            with suppress(Error):
                await self._overwrite(before)
        await self._empty_journal()
        _log.info("erasing.done %s records=%d", person.user_id, erased.records)
        return erased

    async def _delete_rows(self, person: Person) -> None:
        """Delete what refers to him, some rows at a time: a person may have more than one lot."""
        for entity, field in self._database.schema.referrers.get("User", ()):

            def work(transaction: Transaction, entity: Any = entity, field: Any = field) -> int:
                return letting_go.let_go(
                    transaction, entity, field, person.user_id, _WRITTEN_AT_ONCE
                )

            while await self._write(work):
                pass

    async def _delete_account(self, person: Person) -> Person:
        """Delete account and User row, and have every cursor of before start over."""

        def work(transaction: Transaction) -> Person:
            gone = replace(erasing.with_files(transaction, person), is_gone=True)
            self._own_data.delete_in(transaction, person.user_id, cause=erasing.CAUSE)
            erasing.note_person(transaction, gone)
            transaction.seq = change_log.note_rewritten(transaction.connection, transaction.seq)
            return gone

        gone = await self._write(work)
        self._database.note_rewritten()
        return gone

    async def _remove_traces(self, person: Person, erased: Erased) -> None:
        """Remove what is left; the log goes last, because the rest is known by it."""
        found = await self._find(person)
        erased.rows = len(found.rows)
        await self._empty_answers(found, erased)
        erased.jobs = await self._remove_work(erasing.jobs_of, erasing.remove_jobs, found, erased)
        erased.runs = await self._remove_work(erasing.runs_of, erasing.remove_runs, found, erased)
        erased.mails = await asyncio.to_thread(
            _remove_mails, self._database.folder / "outbox", person.email
        )
        erased.files = await self._sweeper.remove(person.files)
        for sha256 in person.hashes:  # a kill may have come between a file and its bytes
            await self._sweeper.remove_unused(sha256)
        await self._merge_search()
        await self._clean_log(found, erased)

    async def _find(self, person: Person) -> Found:
        found, schema = Found(person), self._database.schema
        after: int | None = 0
        while after is not None:
            look = partial(
                erasing.find_in_log, schema=schema, found=found, after=after, limit=_READ_AT_ONCE
            )
            after = await self._read(look)
        found.naming -= found.rows
        for some in erasing.chunks(sorted(found.rows), _READ_AT_ONCE):
            await self._read(partial(erasing.take_words, found=found, keys=some))
        return found

    async def _empty_answers(self, found: Found, erased: Erased) -> None:
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            keys, after = await self._read(
                partial(erasing.answers_that_name, found=found, after=after, limit=_READ_AT_ONCE)
            )
            for some in erasing.chunks(keys, _WRITTEN_AT_ONCE):
                erased.answers += await self._write(partial(erasing.empty_answers, keys=some))

    async def _remove_work(
        self, find: Callable[..., erasing.Page], remove: Callable[..., int], found: Found,
        erased: Erased,
    ) -> int:  # fmt: skip
        after: int | None = 0
        count = 0
        while after is not None:
            page = await self._read(partial(find, found=found, after=after, limit=_READ_AT_ONCE))
            erased.work_left += page.left
            for some in erasing.chunks(page.numbers, _WRITTEN_AT_ONCE):
                count += await self._write(partial(remove, numbers=some))
            after = page.next
        return count

    async def _clean_log(self, found: Found, erased: Erased) -> None:
        through = self._database.rewritten
        for some in erasing.chunks(sorted(found.naming), _WRITTEN_AT_ONCE):
            erased.rows_left += await self._write(
                partial(erasing.unname, keys=some, person=found.person)
            )
        for after in range(0, through + 1, _READ_AT_ONCE):
            await self._write(
                partial(erasing.unsign, person=found.person, after=after, limit=_READ_AT_ONCE)
            )
        for some in erasing.chunks(sorted(found.rows), _WRITTEN_AT_ONCE):
            erased.records += await self._write(
                partial(erasing.remove_records, keys=some, through=through)
            )

    async def _merge_search(self) -> None:
        """Have full-text search forget words that only rows of before had, a step at a time."""
        for entity in self._database.schema.entities.values():
            index = index_of(entity)
            if index is None:
                continue
            for _ in range(_MERGE_STEPS_MAX):
                if not await self._write(partial(_merge, index=index)):
                    break

    # --- reading and writing

    async def _read(self, look: Callable[[Any], _T]) -> _T:
        return await self._database.readers.run(
            lambda reader: look(reader.raw), timeout_s=_SECONDS_OF_A_READ
        )

    async def _write(self, work: Callable[[Transaction], _T]) -> _T:
        def piece(transaction: Transaction) -> _T:
            # The connection is another one where the storage was opened again in between.
            erasing.overwrite(transaction.connection, 1)
            return work(transaction)

        done = await self._database.writer.submit(piece)
        value: _T = done.value
        return value

    async def _empty_journal(self) -> None:
        """Have nothing of him be in the write-ahead log."""
        try:
            await self._database.checkpoint_fully()
        except Error as error:
            raise Unavailable(
                f"the write-ahead log could not be emptied: {error}", reason="disk_full"
            ) from error

    async def _overwrite(self, mode: int) -> int:
        """Have what is deleted be overwritten in the file, or as before; returns how it was."""
        before: int = await self._database.run_on_writer(partial(erasing.overwrite, mode=mode))
        return before


def _merge(transaction: Transaction, index: SearchIndex) -> bool:
    return index.merge(transaction.connection)


def _remove_mails(outbox: Path, address: str | None) -> int:
    """Remove mails to somebody that lie in the outbox; returns how many there were."""
    if address is None or not outbox.is_dir():
        return 0
    count = 0
    for path in outbox.glob("*.eml"):
        try:
            message = email.message_from_bytes(path.read_bytes())
        except OSError:
            continue  # the outbox removed it itself
        to = {one.lower() for _, one in getaddresses(message.get_all("To", []))}
        if address.lower() in to:
            path.unlink(missing_ok=True)
            count += 1
    return count
