"""What the tables of our own still have of a person whose account is gone, found and removed.

Each function does one small piece, so that others write in between: what is found is found on a
reader, by pages; what is removed is removed on the writer, some records at a time. What does not
live here: the order of things (`server.erasing`), the account and its rows (`auth.own_data`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pylon import jsonvalue
from pylon.schema.model import Schema
from pylon.server.storage import jobs, workflows
from pylon.server.storage.lineage import meta
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

#: What the transactions that delete somebody's rows say of themselves in the log.
CAUSE: Final = "erase"
_KEY: Final = "erasing"
_ERASED: Final = "what this was answered with is erased"
_LIVE_JOB: Final = frozenset({"scheduled", "available", "running"})
_LIVE_RUN: Final = frozenset({"running", "parked", "diverged"})
_MAIL: Final = "pylon.mail"
#: A shorter text may stand anywhere by chance.
_WORD_CHARACTERS: Final = 4
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

RowKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """Who is erased, and since when: stored until nothing is left of him."""

    user_id: str
    email: str | None
    #: Records above this seq with the cause `erase` are of his rows.
    from_seq: int
    #: The account is gone, and cursors of before start over: what is left can be removed.
    is_gone: bool = False
    #: Files that he brought, and their bytes.
    files: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return what names him."""
        return (self.user_id, self.email) if self.email else (self.user_id,)


@dataclass(slots=True)
class Found:
    """What is his, and what only names him."""

    person: Person
    #: Rows that are gone, whose records are his.
    rows: set[RowKey] = field(default_factory=set)
    #: Their ids, and what stood in their fields: who was told it was told of him.
    words: set[str] = field(default_factory=set)
    #: Rows of others that are there, with records that name him.
    naming: set[RowKey] = field(default_factory=set)


# --- the note of who is being erased


def read_people(connection: RawConnection) -> list[Person]:
    """Return who is being erased, who was begun with first in front."""
    text = meta(connection, _KEY)
    if text is None:
        return []
    stored: Any = jsonvalue.decode_trusted(text)
    # Before there was room for more than one, he stood there alone.
    return [_person_of(one) for one in (stored if isinstance(stored, list) else [stored])]


def _person_of(stored: dict[str, Any]) -> Person:
    return Person(**{**stored, **{name: tuple(stored[name]) for name in ("files", "hashes")}})


def note_person(transaction: Transaction, person: Person) -> None:
    """Write down who is being erased, so that a start goes on with it."""
    people = read_people(transaction.connection)
    places = {one.user_id: place for place, one in enumerate(people)}
    place = places.get(person.user_id, len(people))
    _note(transaction, [*people[:place], person, *people[place + 1 :]])


def forget_person(transaction: Transaction, user_id: str) -> None:
    """Note that nothing is left of him."""
    _note(
        transaction, [one for one in read_people(transaction.connection) if one.user_id != user_id]
    )


def _note(transaction: Transaction, people: list[Person]) -> None:
    if not people:
        transaction.execute("DELETE FROM _pylon_meta WHERE key = ?", (_KEY,))
        return
    stored = [{name: getattr(one, name) for name in Person.__slots__} for one in people]
    transaction.execute(
        "INSERT INTO _pylon_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value",
        (_KEY, jsonvalue.encode_text(stored)),
    )


def overwrite(connection: RawConnection, mode: int) -> int:
    """Have what is deleted be overwritten in the file (1), never (0) or where it is free (2).

    Returns how it was.
    """
    ((before,),) = connection.execute("PRAGMA secure_delete").fetchall()
    connection.execute(f"PRAGMA secure_delete = {mode:d}").fetchall()
    return int(before)


def with_files(transaction: Transaction, person: Person) -> Person:
    """Return him with the files that he brought."""
    found = transaction.select(
        "SELECT id, sha256 FROM _pylon_files WHERE uploader = ?", (person.user_id,)
    )
    hashes = sorted({sha256 for _, sha256 in found})
    return replace(person, files=tuple(one for one, _ in found), hashes=tuple(hashes))


# --- the log


def find_in_log(
    connection: RawConnection, schema: Schema, found: Found, after: int, limit: int
) -> int | None:
    """Take what `limit` records after a seq say into `found`; returns the seq to go on after.

    A record is of him where an image names him or he erased the row; which of the rows are gone is
    asked of their tables. Returns None at the end.
    """
    records = connection.execute(
        "SELECT seq, entity, row_id, kind, cause, before, after FROM _pylon_log WHERE seq > ?"
        " ORDER BY seq LIMIT ?",
        (after, limit),
    ).fetchall()
    for seq, entity, row_id, kind, cause, *images in records:
        key = (entity, row_id)
        if kind == "slice" or key in found.rows or key in found.naming:
            continue
        is_erased = cause == CAUSE and seq > found.person.from_seq and kind == "delete"
        if is_erased or _names(found.person, images):
            is_there = entity in schema.entities and _is_there(connection, entity, row_id)
            (found.naming if is_there else found.rows).add(key)
    return None if len(records) < limit else int(records[-1][0])


def take_words(connection: RawConnection, found: Found, keys: Iterable[RowKey]) -> None:
    """Take the ids and texts of rows that are gone, from their records, into what was found."""
    for key in keys:
        found.words.add(key[1])
        for images in connection.execute(
            "SELECT before, after FROM _pylon_log WHERE entity = ? AND row_id = ?", key
        ).fetchall():
            for image in images:
                if image is not None:
                    row: Any = jsonvalue.decode_trusted(image)
                    found.words.update(one for one in _texts(row) if len(one) >= _WORD_CHARACTERS)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as members:
                waiting += members.values()
            case list() as items:
                waiting += items
            case _:
                pass


def _tells(found: Found, text: str | None) -> bool:
    """Tell whether JSON names him, or has a text or an id of a row of his."""
    if text is None:
        return False
    if _names(found.person, (text,)) or not found.words.isdisjoint(_WORD.findall(text)):
        return True
    try:
        return not found.words.isdisjoint(_texts(jsonvalue.decode_trusted(text)))
    except ValueError:  # a traceback is no JSON
        return False


def _names(person: Person, texts: Iterable[str | None]) -> bool:
    return any(one in text for text in texts if text is not None for one in person.texts)


def _is_there(connection: RawConnection, entity: str, row_id: str) -> bool:
    sql = f'SELECT 1 FROM "{entity}" WHERE "id" = ?'
    return connection.execute(sql, (row_id,)).fetchone() is not None


def remove_records(transaction: Transaction, keys: Iterable[RowKey], through: int) -> int:
    """Delete the records of rows that are gone; returns how many there were."""
    return sum(
        transaction.execute(
            "DELETE FROM _pylon_log WHERE entity = ? AND row_id = ? AND seq <= ?", (*key, through)
        )
        for key in keys
    )


def unname(transaction: Transaction, keys: Iterable[RowKey], person: Person) -> int:
    """Have images of others' rows not name him any more; returns of how many rows they still do.

    Where a reference to him became null, it is null in all its history. A row that names him today,
    in a text of its own, is somebody else's: it stays as it is, with its records.
    """
    quoted, left = f'"{person.user_id}"', 0
    for entity, row_id in keys:
        today = transaction.select(f'SELECT "_wire" FROM "{entity}" WHERE "id" = ?', (row_id,))
        if today and _names(person, today[0]):
            left += 1
            continue
        transaction.execute(
            "UPDATE _pylon_log SET before = replace(before, ?, 'null'),"
            " after = replace(after, ?, 'null') WHERE entity = ? AND row_id = ?",
            (quoted, quoted, entity, row_id),
        )
    return left


def unsign(transaction: Transaction, person: Person, after: int, limit: int) -> int:
    """Take his name off what he did to rows of others, from `limit` numbers on."""
    return transaction.execute(
        "UPDATE _pylon_log SET actor = NULL WHERE actor = ? AND seq > ? AND seq <= ?",
        (person.user_id, after, after + limit),
    )


# --- answers to others


def answers_that_name(
    connection: RawConnection, found: Found, after: tuple[str, str], limit: int
) -> tuple[list[tuple[str, str]], tuple[str, str] | None]:
    """Return the keys of remembered answers that tell of him, and where to go on."""
    read = connection.execute(
        "SELECT principal, op_id, outcome FROM _pylon_ops WHERE (principal, op_id) > (?, ?)"
        " ORDER BY principal, op_id LIMIT ?",
        (*after, limit),
    ).fetchall()
    telling = [(principal, op_id) for principal, op_id, outcome in read if _tells(found, outcome)]
    return telling, None if len(read) < limit else (read[-1][0], read[-1][1])


def empty_answers(transaction: Transaction, keys: Iterable[tuple[str, str]]) -> int:
    """Have remembered operations be remembered without what they answered."""
    count = 0
    for principal, op_id in keys:
        for (text,) in transaction.select(
            "SELECT outcome FROM _pylon_ops WHERE principal = ? AND op_id = ?", (principal, op_id)
        ):
            outcome: Any = jsonvalue.decode_trusted(text)
            if "error" in outcome:
                outcome["error"] = {"code": outcome["error"]["code"], "message": _ERASED}
            else:
                outcome["value"] = None
            count += transaction.execute(
                "UPDATE _pylon_ops SET outcome = ? WHERE principal = ? AND op_id = ?",
                (jsonvalue.encode_text(outcome), principal, op_id),
            )
    return count


# --- jobs and runs


@dataclass(frozen=True, slots=True)
class Page:
    """Some numbers of what is to go, how much of others lives and names him, and what follows."""

    numbers: list[int]
    left: int
    next: int | None


def jobs_of(connection: RawConnection, found: Found, after: int, limit: int) -> Page:
    """Find jobs that are his, mails to him, and ended ones of others that tell of him."""
    read = connection.execute(
        "SELECT n, name, state, user_id, args, result, error, traceback, progress_text"
        " FROM _pylon_jobs WHERE n > ? ORDER BY n LIMIT ?",
        (after, limit),
    ).fetchall()
    return _page(read, found, _LIVE_JOB, limit)


def runs_of(connection: RawConnection, found: Found, after: int, limit: int) -> Page:
    """Find runs of workflows that are his, and ended ones of others that tell of him."""
    read = connection.execute(
        "SELECT n, name, state, user_id, args, result, error, traceback, (SELECT group_concat("
        "coalesce(j.args, '') || coalesce(j.result, '') || coalesce(j.error, ''))"
        " FROM _pylon_journal AS j WHERE j.run = w.n) FROM _pylon_workflows AS w WHERE n > ?"
        " ORDER BY n LIMIT ?",
        (after, limit),
    ).fetchall()
    return _page(read, found, _LIVE_RUN, limit)


def _page(read: list[tuple[Any, ...]], found: Found, live: frozenset[str], limit: int) -> Page:
    numbers, left = [], 0
    for n, name, state, user_id, *texts in read:
        if user_id == found.person.user_id:
            numbers.append(int(n))
        elif any(_tells(found, text) for text in texts):
            if state in live and name != _MAIL:
                left += 1
            else:
                numbers.append(int(n))
    return Page(numbers, left, None if len(read) < limit else int(read[-1][0]))


def remove_jobs(transaction: Transaction, numbers: Iterable[int]) -> int:
    """Cancel jobs that live, and forget them all."""
    count = 0
    for n in numbers:
        for (job_id,) in transaction.select("SELECT id FROM _pylon_jobs WHERE n = ?", (n,)):
            jobs.cancel(transaction, job_id)
        count += transaction.execute("DELETE FROM _pylon_jobs WHERE n = ?", (n,))
    return count


def remove_runs(transaction: Transaction, numbers: Iterable[int]) -> int:
    """Cancel runs that live, and forget them all with their journals and signals."""
    count = 0
    for n in numbers:
        for (run_id,) in transaction.select("SELECT id FROM _pylon_workflows WHERE n = ?", (n,)):
            workflows.cancel(transaction, run_id)
        transaction.execute("DELETE FROM _pylon_journal WHERE run = ?", (n,))
        transaction.execute("DELETE FROM _pylon_signals WHERE run = ?", (n,))
        count += transaction.execute("DELETE FROM _pylon_workflows WHERE n = ?", (n,))
    return count


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size` items."""
    some: list[Any] = []
    for one in items:
        some.append(one)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
