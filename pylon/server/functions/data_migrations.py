"""Data migrations: the files of `migrations/`, each run once, in order, as the system.

What a file changes, that it was run, and how far it has come are one transaction. They are tried
on a copy of the database first; a real run begins with a branch, which is the way back. The schema
goes first: a file sees the entities of the `app.py` that it lies beside.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pylon import limits_branches
from pylon.app.definition import AppDefinition
from pylon.app.functions import ArgSpec, Function, FunctionKind
from pylon.app.migrationfiles import Migration, MigrationFile, find_migrations, load_migration
from pylon.clock import iso_ms
from pylon.errors import AppError, PylonError
from pylon.identity import SYSTEM
from pylon.server.functions.context import MutationContext
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.functions.failures import AppFailed
from pylon.server.mail.mailer import Mailer
from pylon.server.mail.templates import MailTemplates
from pylon.server.observe import Observer
from pylon.server.storage import backup, branches
from pylon.server.storage.database import Database
from pylon.server.storage.making import MAKING
from pylon.server.storage.migrate import migrate
from pylon.server.storage.migration_plan import make_plan, stored_schema
from pylon.server.storage.migration_records import (
    MigrationRecord,
    note_migration,
    read_migrations,
)
from pylon.server.storage.place import BRANCHES, Place
from pylon.server.storage.restore import begin_anew
from pylon.sqlite import RawConnection, open_alone

_log = logging.getLogger("pylon.migrations")
#: The log says it before the name of the file.
_CAUSE: Final = "migration"
#: No branch has a name with a dot: one that is being made meanwhile is never taken for the trial.
_TRIAL: Final = f"{MAKING}a.trial"


@dataclass(frozen=True, slots=True)
class MigrationState:
    """One file and what the database knows of it."""

    number: int
    name: str
    #: pending, begun (in parts, not at its end), applied, edited (applied, and other text now),
    #: missing (applied, and the file is gone), late (pending, below one that was applied).
    state: str
    applied_at: str | None = None
    parts: int = 0
    changes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        return {
            "number": self.number, "name": self.name, "state": self.state,
            "applied_at": self.applied_at, "parts": self.parts, "changes": self.changes,
        }  # fmt: skip


def states_of(raw: RawConnection | None, files: Sequence[MigrationFile]) -> list[MigrationState]:
    """Return every file, and every one that the database has had; None: there is none yet."""
    known = {} if raw is None else read_migrations(raw)
    by_number = {one.number: one for one in files}
    last = max((number for number, row in known.items() if row.applied_ms is not None), default=0)
    found = []
    for number in sorted({*known, *by_number}):
        file, row = by_number.get(number), known.get(number)
        if row is None:
            assert file is not None
            state = "late" if number < last else "pending"
            found.append(MigrationState(number, file.name, state))
            continue
        applied = row.applied_ms
        if applied is None:
            state = "begun"
        elif file is None:
            state = "missing"
        else:
            state = "applied" if file.hash == row.hash else "edited"
        found.append(MigrationState(
            number, row.name if file is None else file.name, state,
            None if applied is None else iso_ms(applied), row.parts, row.changes,
        ))  # fmt: skip
    return found


def waiting_files(raw: RawConnection | None, files: Sequence[MigrationFile]) -> list[Path]:
    """Return the files that a database has not had to their end yet."""
    wanted = {one.number for one in states_of(raw, files) if one.state in ("pending", "begun")}
    return [one.path for one in files if one.number in wanted]


class DataMigrations:
    """The files that one database has not had yet."""

    def __init__(self, database: Database, definition: AppDefinition) -> None:
        """Find them; raises LoadFailed, and AppError for a number below one that was applied."""
        self._database = database
        self._definition = definition
        self.pending: list[Migration] = []
        files = find_migrations(definition.root)
        if not files:
            return
        states = states_of(database.readers.inline.raw, files)
        for one in states:
            if one.state == "edited":
                _log.warning(
                    "migration.edited %s was applied before it was edited, and is not run again; "
                    "write what is to change into a new file", one.name,
                )  # fmt: skip
        late = [one.name for one in states if one.state == "late"]
        if late:
            raise AppError(
                f"{late[0]} comes before a data migration that was applied already",
                hint="give it the next free number",
            )
        wanted = {one.number for one in states if one.state in ("pending", "begun")}
        self.pending = [
            load_migration(definition.root, one) for one in files if one.number in wanted
        ]

    @property
    def names(self) -> list[str]:
        """Return the names of those that wait."""
        return [one.file.name for one in self.pending]

    async def try_first(self, *, consent: bool) -> None:
        """Run the schema's migration and these over a copy that is thrown away.

        Nothing is tried where the schema's own would be refused, or where there is no data. Raises
        AppError with file, line and row, and what refused a write.
        """
        if not self.pending or self._database.head == 0:
            return
        schema = self._definition.schema
        plan = await self._database.readers.run(lambda reader: make_plan(reader.raw, schema))
        if plan.blockers or (plan.needs_consent and not consent):
            return
        place = Place(self._database.folder, _TRIAL)
        shutil.rmtree(place.folder, ignore_errors=True)
        (self._database.folder / BRANCHES).mkdir(mode=0o700, exist_ok=True)
        need = branches.needed_bytes(self._database.place)
        branches.demand_room(self._database.folder, need, "a trial of the data migrations")
        place.folder.mkdir(mode=0o700)
        try:
            copy, _ = await backup.make_copy(self._database.path, place.folder, is_live=True)
            open_alone(copy, begin_anew)
            copy.replace(place.path)
            await self._try_on(place)
        finally:
            shutil.rmtree(place.folder, ignore_errors=True)

    async def _try_on(self, place: Place) -> None:
        real = self._database
        database = await Database.open(
            place.data, clock=real.clock, ids=real.ids, durability="normal", beside=place
        )
        try:
            database.use_schema(await database.run_on_writer(stored_schema))
            await migrate(database, self._definition.schema, consent=True, keeps=False)
            database.slice_rules = self._definition.slice_rules
            await self._run_all(database)
        finally:
            await database.close()

    async def apply(self) -> list[str]:
        """Run them over the database; returns the names of those that were applied.

        Raises as `try_first`; those before the one that failed stay applied.
        """
        if not self.pending:
            return []
        if self._database.head > 0:
            await branches.keep_before(self._database.place, self.names[0], self._database.clock)
        await self._run_all(self._database)
        return self.names

    async def _run_all(self, database: Database) -> None:
        definition, clock, ids = self._definition, database.clock, database.ids
        executor = Executor(
            database, DefinitionHolder(definition), clock, ids, Observer(clock),
            Mailer(MailTemplates(definition.root / "mail"), ids.uuid7),
        )  # fmt: skip
        try:
            for migration in self.pending:
                await _Run(executor, definition, migration).to_its_end()
                if database is self._database:
                    _log.info("migration.applied %s", migration.file.name)
        finally:
            await executor.close()


class _Run:
    """One file on its way."""

    def __init__(self, executor: Executor, definition: AppDefinition, migration: Migration) -> None:
        self._executor = executor
        self._migration = migration
        self._name = migration.file.name
        function = Function(
            name=self._name, kind=FunctionKind.MUTATION, handler=self._part,
            arguments=ArgSpec(arguments=()), is_internal=True,
            timeout_s=limits_branches.MIGRATION_SECONDS,
        )  # fmt: skip
        functions = {**definition.functions, self._name: function}
        self._definition = replace(definition, functions=functions)
        self._is_over = False
        self._line: int | None = None
        self._row: tuple[str, str] | None = None

    async def to_its_end(self) -> None:
        while not self._is_over:
            try:
                await self._executor.call_inside(self._definition, SYSTEM, self._name, {}, _CAUSE)
            except AppFailed as error:
                raise self._failed(error.said) from error
            except PylonError as error:
                raise self._failed(f"{error.code}: {error.message}", error.hint) from error

    def _failed(self, said: str, hint: str | None = None) -> AppError:
        shown = self._migration.file.shown
        place = shown if self._line is None else f"{shown}:{self._line}"
        at = "" if self._row is None else f" (at {self._row[0]}/{self._row[1]})"
        return AppError(f"{place}: {said}{at}", hint=hint)

    def _part(self, ctx: MutationContext) -> None:
        """Run the file, or its next part, and note how far it has come; one transaction."""
        row = read_migrations(ctx._transaction.connection).get(self._migration.file.number)
        self._line = self._row = None
        cursor = None if row is None else row.cursor
        watched = _WatchedContext(ctx, self._note)
        try:
            if self._migration.has_cursor:
                next_cursor = self._migration.function(watched, cursor)
            else:
                self._migration.function(watched)
                next_cursor = None
        except BaseException as error:
            self._line = _line_in(error, str(self._migration.file.path))
            raise
        if next_cursor is not None and next_cursor == cursor:
            raise AppError("it returned the cursor that it was given: it would never end")
        self._is_over = next_cursor is None
        file, transaction = self._migration.file, ctx._transaction
        parts, changes = (0, 0) if row is None else (row.parts, row.changes)
        note_migration(transaction, MigrationRecord(
            file.number, file.name, file.hash, next_cursor, parts + 1,
            changes + len(transaction.records), transaction.now_ms if self._is_over else None,
        ))  # fmt: skip

    def _note(self, entity: Any, row_id: Any) -> None:
        self._row = (getattr(entity, "__name__", str(entity)), str(row_id))


def _line_in(error: BaseException, path: str) -> int | None:
    """Return the innermost line of a file that an exception passed through."""
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == path:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


class _WatchedContext:
    """The context of a mutation, whose database notes which row is being worked on."""

    def __init__(self, ctx: MutationContext, note: Any) -> None:
        self._ctx = ctx
        self.db = _WatchedDatabase(ctx.db, note)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


class _WatchedDatabase:
    def __init__(self, db: Any, note: Any) -> None:
        self._db = db
        self._note = note

    def get(self, entity: Any, row_id: str) -> Any:
        self._note(entity, row_id)
        return self._db.get(entity, row_id)

    def update(self, entity: Any, row_id: str, /, **values: Any) -> Any:
        self._note(entity, row_id)
        return self._db.update(entity, row_id, **values)

    def delete(self, entity: Any, row_id: str) -> None:
        self._note(entity, row_id)
        self._db.delete(entity, row_id)

    def insert(self, entity: Any, /, **values: Any) -> Any:
        self._note(entity, values.get("id", "a new row"))
        return self._db.insert(entity, **values)

    def list(self, entity: Any, *args: Any, **keywords: Any) -> Any:
        return _WatchedRows(self._db.list(entity, *args, **keywords), entity, self._note)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class _WatchedRows(list[Any]):
    """Rows that are noted as they are walked through."""

    def __init__(self, rows: Any, entity: Any, note: Any) -> None:
        super().__init__(rows)
        self._entity = entity
        self._note = note

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            self._note(self._entity, row.id)
            yield row
