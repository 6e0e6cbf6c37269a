"""A report done again on a fresh database: the same changes, at the same numbers and times.

What comes in was written by a stranger: names are held to a form before they reach a statement,
values pass the checks that any write passes, and patterns, which could be made to run for ever, are
not asked. None of the report's code runs here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits_data, limits_keeping, paths
from pylon.clock import SystemClock
from pylon.errors import PylonError
from pylon.ids import IdSource, is_id
from pylon.schema.fingerprint import schema_from_json
from pylon.schema.model import FieldKind, Schema
from pylon.schema.times import datetime_ms, parse_datetime
from pylon.server.bugs import archive
from pylon.server.bugs.archive import BugUnreadable
from pylon.server.functions.replaying import Taken, make_again, moved, portable
from pylon.server.storage import bug_rows
from pylon.server.storage.accounts import Account
from pylon.server.storage.bug_rows import FailedWork
from pylon.server.storage.database import Database
from pylon.server.storage.log_range import LogRange, read_range
from pylon.server.storage.migrate import migrate
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.tables import tables_of
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

_NAME: Final = re.compile(r"(?!(?i:sqlite_))[A-Za-z][A-Za-z0-9_]{0,63}\Z", re.ASCII)
_ENTITIES_MAX: Final = 500
_KINDS: Final = frozenset({"insert", "update", "delete"})
#: Jobs of our own are no app's: a mail, say.
_OURS: Final = "pylon."
_START_ROWS: Final = 200
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the report."""

    seq: int
    tx: int
    at_ms: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class Bug:
    """A report that was read, and found to be one."""

    about: Mapping[str, Any]
    schema: Schema
    start: list[Taken]
    changes: list[Change]
    #: (entity, id) to what is left of it; None: it is gone.
    end: dict[tuple[str, str], Mapping[str, Any] | None]
    accounts: list[Account]
    jobs: list[FailedWork]
    #: Text by path, from the project's folder.
    code: dict[str, str]
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a replay; `difference` is empty where all was the same."""

    changes: int
    rows: int
    accounts: int
    jobs: int
    first: int | None
    last: int | None
    difference: str


def read_bug(path: Path) -> Bug:
    """Return the report in a file; raises BugUnreadable."""
    parts = archive.opened(path)
    about = archive.json_part(parts, archive.ABOUT)
    if not isinstance(about, dict) or about.get("format") != archive.FORMAT:
        raise BugUnreadable(
            f"the report has format {str(_get(about, 'format'))[:20]}; this Pylon knows"
            f" {archive.FORMAT}", hint="install a newer Pylon",
        )  # fmt: skip
    try:
        schema = _schema(archive.json_part(parts, archive.SCHEMA))
        changes = [_change(one) for one in archive.json_lines(parts, archive.CHANGES)]
        start = [_taken("insert", one, None) for one in archive.json_lines(parts, archive.START)]
        end = {
            (one.entity, one.row_id): one.values
            for one in (_taken("insert", line, None)
                        for line in archive.json_lines(parts, archive.END))
        }  # fmt: skip
        accounts = [_account(one) for one in archive.json_lines(parts, archive.ACCOUNTS)]
        failures = archive.json_part(parts, archive.FAILURES)
        jobs = [_job(one) for one in failures["jobs"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BugUnreadable(f"the report is not as one is made: {type(error).__name__}") from error
    if len(changes) > limits_data.REPLAY_CHANGES_MAX + 1 or (
        len(start) > limits_data.REPLAY_ROWS_MAX or len(jobs) > limits_keeping.BUG_FAILURES_MAX
    ):
        raise BugUnreadable("the report has more changes, rows or jobs than one has")
    code = {
        name.removeprefix(archive.CODE): text
        for name, text in parts.items() if archive.is_code(name)
    }  # fmt: skip
    jobs = [one for one in jobs if not one.name.startswith(_OURS)]
    return Bug(about, schema, start, changes, end, accounts, jobs, code,
               parts.get(archive.SETTINGS, ""))  # fmt: skip


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _schema(stored: Any) -> Schema:
    """Return the schema; its names go into statements, so they must be names."""
    schema = schema_from_json(stored)
    if len({one.casefold() for one in schema.entities}) != len(schema.entities):
        raise BugUnreadable("the report has an entity twice")
    if len(schema.entities) > _ENTITIES_MAX:
        raise BugUnreadable("the report has too many entities")
    for entity in schema.entities.values():
        fields = [one.name for one in entity.fields]
        for name in (entity.name, *fields, *(one.name for one in entity.indexes)):
            if not _NAME.match(name):  # a TypeError for what is no text
                raise BugUnreadable(f"the report has an entity, field or index {str(name)[:80]!r}")
        folded = [one.casefold() for one in fields]
        known = {*fields, "id", "_seq"}
        if len(set(folded)) != len(folded) or "id" in folded:
            raise BugUnreadable(f"the report has a field of {entity.name} twice")
        for one in entity.fields:
            if one.kind is FieldKind.REF and one.ref not in schema.entities:
                raise BugUnreadable(f"{entity.name}.{one.name} of the report refers to nothing")
            if not all(isinstance(choice, str) for choice in one.choices):
                raise BugUnreadable(f"{entity.name}.{one.name} of the report has odd choices")
        if not all(set(one.fields) <= known for one in entity.indexes):
            raise BugUnreadable(f"an index of {entity.name} in the report is of other fields")
    return schema


def _change(line: Mapping[str, Any]) -> Change:
    if line["kind"] not in _KINDS:
        raise BugUnreadable("the report has a change of no kind")
    numbers = (line["seq"], line["tx"], line["at"])
    if not all(type(one) is int and 0 < one < 2**53 for one in numbers):
        raise BugUnreadable("the report has a change without a number or a time")
    return Change(*numbers, _taken(line["kind"], line, line["user"]))


def _taken(kind: str, line: Mapping[str, Any], actor: Any) -> Taken:
    values = line["values"]
    if not isinstance(line["entity"], str) or not is_id(line["id"]):
        raise BugUnreadable("the report has a row without an entity or an id")
    if (actor is not None and not is_id(actor)) or not isinstance(values, dict | None):
        raise BugUnreadable("the report has a row that is none")
    return Taken(kind, line["entity"], line["id"], values, actor)


def _account(line: Mapping[str, Any]) -> Account:
    email, roles = line["email"], line["roles"]
    is_good = is_id(line["id"]) and (email is None or (isinstance(email, str) and len(email) < 321))
    if not is_good or not all(isinstance(one, str) and len(one) < 200 for one in roles):
        raise BugUnreadable("the report has an account that is none")
    return Account(
        line["id"], email, frozenset(roles), disabled=line["disabled"] is True, auth_version=0,
        is_proven=line["proven"] is True, is_guest=line["guest"] is True,
    )  # fmt: skip


def _job(line: Mapping[str, Any]) -> FailedWork:
    texts = [line["name"], line["id"]]
    user, args = line["user"], line["args"]
    if not all(isinstance(one, str) and 0 < len(one) < 200 for one in texts) or not (
        isinstance(args, dict | None) and (user is None or is_id(user))
    ):
        raise BugUnreadable("the report has a job that is none")
    said = [None if line[name] is None else str(line[name])[:20_000]
            for name in ("error", "traceback", "cause")]  # fmt: skip
    return FailedWork(
        line["id"],
        line["name"],
        "dead",
        jsonvalue.encode_text(args or {}),
        user,
        max(0, int(line["attempt"])),
        datetime_ms(parse_datetime(line["at"])),
        *said,
    )


class _Then(SystemClock):
    """The time of the change that is done again."""

    def __init__(self) -> None:
        self.at_ms: int | None = None

    def now_ms(self) -> int:
        """Return the time of then, or the machine's where none is meant."""
        return super().now_ms() if self.at_ms is None else self.at_ms

    def machine_ms(self) -> int:
        """Return the machine's time."""
        return super().now_ms()


async def replay_bug(bug: Bug, project: Path) -> Replayed:
    """Do a report's changes again on the fresh database of a project's folder, and compare.

    Raises PylonError where the database can't be made; that a change is refused is a difference.
    """
    clock = _Then()
    ids = IdSource(clock, secrets.token_bytes)
    database = await Database.open(
        project / ".pylon", clock=clock, ids=ids, witness=paths.witness_dir()
    )
    try:
        await migrate(database, bug.schema, consent=True, keeps=False)
        database.use_schema(_without_patterns(bug.schema))
        difference = await _redone(bug, database, clock)
        if not difference and bug.changes:
            difference = await _compared(bug, database)
        return Replayed(
            changes=len(bug.changes), rows=len(bug.start), accounts=len(bug.accounts),
            jobs=len(bug.jobs), first=bug.changes[0].seq if bug.changes else None,
            last=bug.changes[-1].seq if bug.changes else None, difference=difference,
        )  # fmt: skip
    finally:
        await database.close()


def _without_patterns(schema: Schema) -> Schema:
    return Schema(
        entities={
            name: replace(entity, fields=tuple(replace(one, pattern=None) for one in entity.fields))
            for name, entity in schema.entities.items()
        }
    )


async def _redone(bug: Bug, database: Database, clock: _Then) -> str:
    """Do everything; returns the first refusal."""
    try:
        await database.writer.submit(lambda one: _plant(one, bug))
        first = bug.changes[0] if bug.changes else None
        if first is not None:
            clock.at_ms = first.at_ms
            await _begin_at(database, first.tx - 1 - len(bug.start))
        for place in range(0, len(bug.start), _START_ROWS):
            rows = bug.start[place : place + _START_ROWS]
            await database.writer.submit(partial(make_again, changes=rows))
    except PylonError as error:
        return f"a row that the changes start from: {error.message}"
    for _, together in groupby(bug.changes, key=lambda one: one.tx):
        changes = list(together)
        clock.at_ms = changes[0].at_ms
        await _begin_at(database, changes[0].tx - 1)
        taken = [one.taken for one in changes]
        try:
            await database.writer.submit(partial(make_again, changes=taken))
        except PylonError as error:
            return f"change {changes[0].seq}: it is refused: {error.message}"
    clock.at_ms = None
    return ""


def _plant(transaction: Transaction, bug: Bug) -> None:
    for account in bug.accounts:
        bug_rows.plant_account(transaction, account)
    for job in bug.jobs:
        bug_rows.plant_dead_job(transaction, job)


async def _begin_at(database: Database, head: int) -> None:
    """Have the next change get the number that it had; where that is past, it gets another."""
    if database.head < head:
        await database.run_on_writer(lambda raw: bug_rows.begin_at(raw, head))
        database.note_rewritten()


async def _compared(bug: Bug, database: Database) -> str:
    """Return the first difference between what the report says and what is there now."""
    last = database.head

    def read(raw: RawConnection) -> LogRange:
        reader = ReadConnection(raw, database.schema, tables_of(database.schema))
        # The first of them has its number, or came after all rows of the start.
        first = max(bug.changes[0].tx, len(bug.start) + 1)
        return read_range(reader, first, last)

    async with database.writer.pause():
        try:
            found = read(database.readers.inline.raw)
        except PylonError as error:
            return f"what came of them cannot be read: {error.message}"
    return _of_changes(bug, found, database.schema) or _of_rows(bug, found)


def _of_changes(bug: Bug, found: LogRange, schema: Schema) -> str:
    # Rows that came into the old log by other ways than changes may have used up the numbers.
    is_numbered = bug.changes[0].tx > len(bug.start)
    for was, record in zip(bug.changes, found.changes, strict=False):
        taken, entity = was.taken, schema.entities[record.entity]
        values: Mapping[str, Any] | None = None
        if record.after is not None:
            values = portable(entity, record.after)
            if record.before is not None:
                values = moved(entity, record.before, record.after)
        facts = {
            "transaction": (was.tx, record.tx if is_numbered else was.tx),
            "time": (was.at_ms, record.at_ms), "kind": (taken.kind, record.kind),
            "entity": (taken.entity, record.entity), "id": (taken.row_id, record.row_id),
            "user": (taken.actor, record.actor),
        }  # fmt: skip
        for name, (then, now) in facts.items():
            if then != now:
                return f"change {was.seq}: its {name} was {then}, and is {now}"
        said = _of_values(taken.values, values)
        if said:
            return f"change {was.seq} of {taken.entity}/{taken.row_id}: {said}"
    if len(bug.changes) != len(found.changes):
        return f"there were {len(bug.changes)} changes, and are {len(found.changes)}"
    return ""


def _of_rows(bug: Bug, found: LogRange) -> str:
    now = {
        (entity.name, row_id): row and portable(entity, row) for entity, row_id, row in found.after
    }
    for key, values in bug.end.items():
        said = _of_values(values, now.get(key))
        if said:
            return f"{key[0]}/{key[1]} in the end: {said}"
    return "" if len(now) == len(bug.end) else f"{len(bug.end)} rows changed, now {len(now)}"


def _of_values(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if then is None or now is None:
        return (
            "" if then is now else f"it was {'gone' if then is None else 'there'}, and now is not"
        )
    for name in {**then, **now}:
        was, here = then.get(name), now.get(name)
        if was != here or (name in then) != (name in now):
            return f"{name} was {_short(was)}, and is {_short(here)}"
    return ""


def _short(value: Any) -> str:
    text = jsonvalue.encode_text(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
