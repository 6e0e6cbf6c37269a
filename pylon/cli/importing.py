"""`pylon import`: rows of a file into the project, part by part, through the log, done once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import click

from pylon import jsonvalue, limits
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.progress import Progress
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import local_admin
from pylon.cli.rowarray import array_says_entity, is_array, read_array
from pylon.cli.rowfiles import (
    CSV,
    FORMATS,
    JSON,
    JSONL,
    FileRow,
    format_of,
    read_csv,
    read_jsonl,
    says_entity,
)
from pylon.client.admin import AdminError
from pylon.client.import_pace import ImportPace, Load, Turn
from pylon.errors import PylonError
from pylon.printable import counted
from pylon.supervisor.registry import running_runtime

#: What one part holds of a file, about: it is done once, or not at all. How many of them are sent
#: at once is a matter of pace: others wait for them. Several at once are far from what a request
#: may have; a row that is larger than a part is a part, and goes alone.
_PART_ROWS: Final = 50
_PART_BYTES: Final = 65_536
_REQUEST_BYTES: Final = limits.BODY_BYTES_MAX // 4
_REQUEST_KEYS: Final = limits.JSON_KEYS_MAX // 2
#: Of a row beside its values.
_RECORD_KEYS: Final = 4
_COPY_BYTES: Final = 1_048_576
Take = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@click.command(name="import", short_help="Bring in rows from JSON or CSV.")
@click.argument("file")
@click.option(
    "--entity", help="What the rows are of (default: they say it, or the name of FILE does)."
)
@click.option("--format", "given", type=click.Choice(FORMATS), help="Default: by the name of FILE.")
@click.option("--update", "updates", is_flag=True, help="Rows that are there take the new values.")
@click.option("--without-files", is_flag=True, help="Leave fields for files empty.")
@click.option("--again", is_flag=True, help="Also what was imported from this very file before.")
@project_option
@json_option
def import_(
    file: str, entity: str | None, given: str | None, updates: bool, without_files: bool,
    again: bool, project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Bring in the rows of FILE (- is stdin), as `pylon export` writes them. Ids are kept.

    Each row is a change in the log, past the policies: it is your own data. The app may run. An
    import that was cut off goes on where it was when it is run again. Rows that do not say what
    they are of are of the entity that FILE has its name of: note.jsonl, Note.csv.
    """
    form = format_of(file, given)
    project = find_project(project_path)
    done = _Done()
    with _opened(file) as stream:
        if given is None and form == JSON and not is_array(stream):
            form = JSONL  # so were files of this name written once
        stream.seek(0)
        if entity is None and not _says_entity(stream, form):
            entity = _entity_of(project, file)
        stream.seek(0)
        key = hashlib.sha256(repr((entity, form, updates, without_files, _PART_ROWS)).encode())
        while chunk := stream.read(_COPY_BYTES):
            key.update(chunk)
        size = stream.tell()
        stream.seek(0)
        if again:
            key.update(secrets.token_bytes(16))
        options = {"updates": updates, "without_files": without_files}
        source = _Source(stream, file, form, entity, size)
        try:
            asyncio.run(_import(project, source, key.hexdigest()[:32], options, done))
        except KeyboardInterrupt:
            say(f"stopped: {_in(done.stored)}; the same command goes on from there")
            raise
    if as_json:
        print_json(done.to_json())
        return
    stored = f"{counted(done.inserted, 'row')} inserted, {done.updated:,} updated"
    print_line(f"{stored}, {done.unchanged:,} as they were")
    if done.before:
        say(f"{done.before} of them came from this file before and were left: --again takes them")


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of rows, which is read once."""

    stream: IO[bytes]
    name: str
    form: str
    entity: str | None
    #: In bytes.
    size: int

    def share(self) -> float:
        """Return how much of it was read."""
        return self.stream.tell() / self.size if self.size else 1.0

    def rows(self) -> Iterator[FileRow]:
        """Yield the rows; the file stays open."""
        if self.form != CSV:
            read = read_array if self.form == JSON else read_jsonl
            yield from read(self.stream, self.name, self.entity)
            return
        assert self.entity is not None
        text = io.TextIOWrapper(
            self.stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        try:
            yield from read_csv(text, self.name, self.entity)
        finally:
            text.detach()


@dataclass(slots=True)
class _Done:
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    #: Rows of parts that were done by an earlier run.
    before: int = 0

    @property
    def stored(self) -> int:
        """Return how many rows this run stored."""
        return self.inserted + self.updated

    def to_json(self) -> dict[str, int]:
        return {
            "inserted": self.inserted, "updated": self.updated, "unchanged": self.unchanged,
            "before": self.before,
        }  # fmt: skip


def _says_entity(stream: IO[bytes], form: str) -> bool:
    if form == JSON:
        return array_says_entity(stream)
    return form == JSONL and says_entity(stream)


def _in(count: int) -> str:
    return f"{counted(count, 'row')} {'is' if count == 1 else 'are'} in"


def _entity_of(project: Path, file: str) -> str:
    """Return the entity that a file has its name of; raises CommandFailed where it has of none."""
    from pylon.server.offline_rows import entity_names

    known = asyncio.run(entity_names(project))
    stem = Path(file).stem
    found = [one for one in known if one.casefold() == stem.casefold()]
    if stem in found:
        return stem
    if len(found) == 1:
        return found[0]
    raise CommandFailed(
        f"neither the rows of {file} nor its name say what they are of",
        f"give --entity, one of: {', '.join(known)}",
    )


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        # Read twice: once to know whether it came before. Who asked closes it.
        spool = tempfile.TemporaryFile()  # noqa: SIM115
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.seek(0)
        return spool
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from error


async def _import(
    project: Path, source: _Source, key: str, options: dict[str, Any], done: _Done
) -> None:
    async with _taking(project) as take:
        with Progress("rows", share=source.share) as progress, ExitStack() as before:
            sender = _Sender(take, source.name, key, options, done, progress)
            rows: Iterable[FileRow] = source.rows()
            is_last = False
            while True:
                with ExitStack() as opened:
                    spool = opened.enter_context(tempfile.TemporaryFile())
                    sent, put_off = await sender.send(rows, spool, is_last=is_last)
                    if not put_off:
                        return
                    # No row of a whole round found what it refers to: the rest is to be refused.
                    is_last = sender.round > 1 and put_off == sent
                    spool.seek(0)
                    rows = _put_off_rows(spool)
                    before.close()
                    before.enter_context(opened.pop_all())


@asynccontextmanager
async def _taking(project: Path) -> AsyncIterator[Take]:
    """Yield what takes a part: the running runtime, or the closed database."""
    if running_runtime(project) is not None:
        admin = local_admin(project)
        try:
            yield lambda body: admin.post("admin/import", body)
        finally:
            await admin.close()
        return
    from pylon.server.offline_rows import open_import

    async with open_import(project) as take:
        yield take


@dataclass(slots=True)
class _Sender:
    take: Take
    name: str
    key: str
    options: dict[str, Any]
    done: _Done
    progress: Progress
    round: int = 0
    _number: int = field(default=0)
    pace: ImportPace = field(default_factory=ImportPace)
    turn: Turn = ImportPace.FIRST

    async def send(
        self, rows: Iterable[FileRow], spool: IO[bytes], *, is_last: bool
    ) -> tuple[int, int]:
        """Send rows in parts; returns how many were sent and how many of them are put off."""
        sent = put_off = 0
        self.round, self._number = self.round + 1, 0
        parts = _Parts(rows)
        while some := parts.take(self.turn.pieces):
            put_off += await self._send_parts(some, spool, is_last=is_last)
            sent += sum(len(one) for one in some)
            await asyncio.sleep(self.turn.rest_s)
        return sent, put_off

    async def _send_parts(
        self, parts: list[list[FileRow]], spool: IO[bytes], *, is_last: bool
    ) -> int:
        """Send some parts at once; returns how many of their rows are put off."""
        asked = []
        for part in parts:
            self._number += 1
            asked.append({
                "op_id": f"import.{self.key}.{self.round}.{self._number}",
                "records": [one.to_record() for one in part],
            })  # fmt: skip
        try:
            answer = await self.take({"parts": asked, **self.options, "is_last": is_last})
        except PylonError as error:
            raise self._failure(error, parts[0]) from error
        put_off = 0
        for part, stored in zip(parts, answer["parts"], strict=False):
            for at, names in stored["put_off"]:
                spool.write(_put_off(part[at], names))
            put_off += len(stored["put_off"])
            if not part[0].sets:  # those were counted when their rows came
                self._count(stored)
                self.progress.step(len(part))
        if answer["error"] is not None:
            refused = AdminError(answer["error"]["message"], answer=answer["error"])
            raise self._failure(refused, parts[len(answer["parts"])])
        self.turn = self.pace.step(Load(**answer["load"]), len(parts))
        return put_off

    def _count(self, answer: dict[str, Any]) -> None:
        if answer["was_done"]:
            self.done.before += answer["inserted"] + answer["updated"] + answer["unchanged"]
            return
        self.done.inserted += answer["inserted"]
        self.done.updated += answer["updated"]
        self.done.unchanged += answer["unchanged"]

    def _failure(self, error: PylonError, part: list[FileRow]) -> CommandFailed:
        at = error.details.get("record")
        line = part[at].line if isinstance(at, int) and at < len(part) else part[0].line
        stored = self.done.stored
        kept = f"{_in(stored)}; the part with this one is not. " if stored else ""
        hint = error.hint or "mend the line and import the file with --update"
        return CommandFailed(f"{self.name}:{line}: {error.message} [{error.code}]", kept + hint)


@dataclass(slots=True)
class _Part:
    """Rows that are stored together, and how much of a request they take."""

    rows: list[FileRow] = field(default_factory=list)
    size: int = 0
    #: At least as many as its rows have: a colon in a text counts, too.
    keys: int = 0


class _Parts:
    """The parts of some rows, as many at a time as one request takes."""

    def __init__(self, rows: Iterable[FileRow]) -> None:
        self._parts = _parts(rows)
        #: It did not fit into the request before.
        self._held: _Part | None = None

    def take(self, pieces: int) -> list[list[FileRow]]:
        """Return the next so many or fewer, each with its rows; one always goes."""
        taken: list[list[FileRow]] = []
        size = keys = 0
        while len(taken) < pieces:
            part, self._held = self._held or next(self._parts, None), None
            if part is None:
                break
            size, keys = size + part.size, keys + part.keys
            if taken and (size > _REQUEST_BYTES or keys > _REQUEST_KEYS):
                self._held = part
                break
            taken.append(part.rows)
        return taken


def _parts(rows: Iterable[FileRow]) -> Iterator[_Part]:
    """Yield rows in parts of a bounded size, those that set fields apart from whole ones."""
    part = _Part()
    for one in rows:
        # What is counted decides where a file is cut, and so what its parts were called before.
        text = jsonvalue.encode(dict(one.values))
        is_full = len(part.rows) == _PART_ROWS or part.size + len(text) > _PART_BYTES
        if part.rows and (is_full or part.rows[0].sets != one.sets):
            yield part
            part = _Part()
        part.rows.append(one)
        part.size += len(text)
        part.keys += text.count(b":") + _RECORD_KEYS
    if part.rows:
        yield part


def _put_off(row: FileRow, names: list[str]) -> bytes:
    values = {name: row.values[name] for name in ("id", *names)} if names else dict(row.values)
    kept = {"line": row.line, "entity": row.entity, "values": values,
            "are_cells": row.are_cells, "sets": row.sets or bool(names)}  # fmt: skip
    return jsonvalue.encode(kept) + b"\n"


def _put_off_rows(spool: IO[bytes]) -> Iterator[FileRow]:
    for line in spool:
        yield FileRow(**jsonvalue.decode_trusted(line))
