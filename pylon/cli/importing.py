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
from pylon.cli.rowfiles import CSV, JSONL, FileRow, format_of, read_csv, read_jsonl
from pylon.client.admin import AdminClient
from pylon.errors import PylonError
from pylon.supervisor.registry import running_runtime

#: What one part holds of a file, about: the body has a limit, and the writer is held by each.
_PART_BYTES: Final = 131_072
_COPY_BYTES: Final = 1_048_576
Take = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


@click.command(name="import", short_help="Bring in rows from JSON lines or CSV.")
@click.argument("file")
@click.option("--entity", help="What the rows are of; lines of JSON may say it themselves.")
@click.option(
    "--format", "given", type=click.Choice([JSONL, CSV]), help="Default: by the name of FILE."
)
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
    import that was cut off goes on where it was when it is run again.
    """
    form = format_of(file, given)
    if form == CSV and entity is None:
        raise click.UsageError("a CSV file does not say what its rows are of: give --entity")
    project = find_project(project_path)
    with _opened(file) as stream:
        key = hashlib.sha256(repr((entity, form, updates, without_files)).encode())
        while chunk := stream.read(_COPY_BYTES):
            key.update(chunk)
        stream.seek(0)
        if again:
            key.update(secrets.token_bytes(16))
        options = {"updates": updates, "without_files": without_files}
        source = _Source(stream, file, form, entity)
        done = asyncio.run(_import(project, source, key.hexdigest()[:32], options))
    if as_json:
        print_json(done.to_json())
        return
    print_line(
        f"{done.inserted} rows inserted, {done.updated} updated, {done.unchanged} as they were"
    )
    if done.before:
        say(f"{done.before} of them came from this file before and were left: --again takes them")


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of rows, which is read once."""

    stream: IO[bytes]
    name: str
    form: str
    entity: str | None

    def rows(self) -> Iterator[FileRow]:
        """Yield the rows; the file stays open."""
        if self.form == JSONL:
            yield from read_jsonl(self.stream, self.name, self.entity)
            return
        assert self.entity is not None
        text = io.TextIOWrapper(self.stream, encoding="utf-8-sig", newline="")
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

    def to_json(self) -> dict[str, int]:
        return {
            "inserted": self.inserted, "updated": self.updated, "unchanged": self.unchanged,
            "before": self.before,
        }  # fmt: skip


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


async def _import(project: Path, source: _Source, key: str, options: dict[str, Any]) -> _Done:
    done = _Done()
    async with _taking(project) as take:
        with Progress("rows") as progress, ExitStack() as before:
            sender = _Sender(take, source.name, key, options, done, progress)
            rows: Iterable[FileRow] = source.rows()
            is_last = False
            while True:
                with ExitStack() as opened:
                    spool = opened.enter_context(tempfile.TemporaryFile())
                    sent, put_off = await sender.send(rows, spool, is_last=is_last)
                    if not put_off:
                        return done
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
        admin = AdminClient.local(project)
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

    async def send(
        self, rows: Iterable[FileRow], spool: IO[bytes], *, is_last: bool
    ) -> tuple[int, int]:
        """Send rows in parts; returns how many were sent and how many of them are put off."""
        sent = put_off = 0
        self.round, self._number = self.round + 1, 0
        for part in _parts(rows):
            put_off += await self._send_part(part, spool, is_last=is_last)
            sent += len(part)
        return sent, put_off

    async def _send_part(self, part: list[FileRow], spool: IO[bytes], *, is_last: bool) -> int:
        self._number += 1
        body = {
            "op_id": f"import.{self.key}.{self.round}.{self._number}", **self.options,
            "is_last": is_last, "records": [one.to_record() for one in part],
        }  # fmt: skip
        try:
            answer = await self.take(body)
        except PylonError as error:
            raise self._failure(error, part) from error
        for at, names in answer["put_off"]:
            spool.write(_put_off(part[at], names))
        if not part[0].sets:  # those were counted when their rows came
            self._count(answer)
            self.progress.step(len(part))
        return len(answer["put_off"])

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
        stored = self.done.inserted + self.done.updated
        kept = f"{stored} rows are in; the part with this one is not. " if stored else ""
        hint = error.hint or "mend the line and import the file with --update"
        return CommandFailed(f"{self.name}:{line}: {error.message} [{error.code}]", kept + hint)


def _parts(rows: Iterable[FileRow]) -> Iterator[list[FileRow]]:
    """Yield rows in parts of a bounded size, those that set fields apart from whole ones."""
    part: list[FileRow] = []
    size = 0
    for one in rows:
        weight = len(jsonvalue.encode(dict(one.values)))
        is_full = len(part) == limits.IMPORT_ROWS_MAX or size + weight > _PART_BYTES
        if part and (is_full or part[0].sets != one.sets):
            yield part
            part, size = [], 0
        part.append(one)
        size += weight
    if part:
        yield part


def _put_off(row: FileRow, names: list[str]) -> bytes:
    values = {name: row.values[name] for name in ("id", *names)} if names else dict(row.values)
    kept = {"line": row.line, "entity": row.entity, "values": values,
            "are_cells": row.are_cells, "sets": row.sets or bool(names)}  # fmt: skip
    return jsonvalue.encode(kept) + b"\n"


def _put_off_rows(spool: IO[bytes]) -> Iterator[FileRow]:
    for line in spool:
        yield FileRow(**jsonvalue.decode_trusted(line))
