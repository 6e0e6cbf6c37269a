"""A project's data without a running runtime: accounts, migrations, explanations, the log.

For commands beside, or before, the first start. No project code runs here: the schema is the one
that the database was last migrated to, or of an app that the caller has loaded.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pylon import paths
from pylon.app.definition import AppDefinition
from pylon.app.migrationfiles import find_migrations
from pylon.clock import SystemClock, iso_ms
from pylon.ids import IdSource
from pylon.schema.diff import diff
from pylon.server.auth.house import build_identity
from pylon.server.auth.people import People
from pylon.server.config import load_config
from pylon.server.functions.data_migrations import (
    DataMigrations,
    MigrationState,
    states_of,
    waiting_files,
)
from pylon.server.functions.next_code import code_under
from pylon.server.functions.why import asked_of, explain_row
from pylon.server.storage import accounts, backup
from pylon.server.storage.backup import DatabaseUnusable
from pylon.server.storage.database import Database
from pylon.server.storage.folder import FolderInUse, demand_free
from pylon.server.storage.known_policies import use_policies
from pylon.server.storage.log_stats import log_stats
from pylon.server.storage.migrate import migrate
from pylon.server.storage.migration_plan import (
    MigrationPlan,
    demand_same_plan,
    make_plan,
    plan_from_nothing,
    stored_schema,
)
from pylon.server.storage.place import place_in_use
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.tables import tables_of
from pylon.server.storage.trimming import Trimmer
from pylon.sqlite import RawConnection, open_reader

_NO_CODE: Final[dict[str, Any]] = {"code": [], "unread": []}
_FREE_SECONDS = 0.1
#: A runtime that still says where it listens after so long is not about to end.
_STAYS_SECONDS = 0.3


@asynccontextmanager
async def open_database(project: Path) -> AsyncIterator[Database]:
    """Open the database of a project that does not run; raises FolderInUse where it does."""
    clock = SystemClock()
    ids = IdSource(clock, secrets.token_bytes)
    database = await Database.open(
        project / ".pylon", clock=clock, ids=ids, witness=paths.witness_dir()
    )
    try:
        database.use_schema(await database.run_on_writer(stored_schema))
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_people(project: Path) -> AsyncIterator[People]:
    """Open the accounts of a project that does not run."""
    async with open_database(project) as database:
        identity = build_identity(
            database, database.clock, database.ids,
            user_entity=lambda: database.schema.entities.get("User"),
        )  # fmt: skip
        yield identity.people


async def pending_migration(
    project: Path, definition: AppDefinition, *, apply_it: bool, agreed: str | None = None
) -> tuple[MigrationPlan, list[MigrationState], list[str] | None, dict[str, Any]]:
    """Return the plan from a project's database to an app, and its data migrations.

    The third is what was applied: the names of data migrations, an empty list too; None where
    nothing was to do, or only looked at. The last is what the plan breaks of the app's code.
    Where a runtime has the folder, the plan is made over a read-only connection. Consent to the
    plan of the hash `agreed` is none to another: Conflict is raised. The hash is that of the
    schema's steps and counts of rows: data migrations run as their files are by then.
    """
    files = find_migrations(definition.root)
    schema = definition.schema
    path = place_in_use(project / ".pylon").path
    if not apply_it:
        if not path.is_file():
            return plan_from_nothing(schema), states_of(None, files), None, _NO_CODE
        connection = await open_reader(path)
        try:
            raw = connection.raw
            plan = make_plan(raw, schema)
            code = code_under(
                definition, stored_schema(raw), plan.steps, files=waiting_files(raw, files)
            )
            return plan, states_of(raw, files), None, code
        finally:
            await connection.close()
    async with open_database(project) as database:
        if agreed is not None:
            now = await database.run_on_writer(lambda raw: make_plan(raw, schema))
            demand_same_plan(now, agreed)
        data = DataMigrations(database, definition)
        await data.try_first(consent=True)
        plan = await migrate(database, schema, consent=True)
        await use_policies(database, definition.slice_rules, definition.read_meanings)
        names = await data.apply()
        states = states_of(database.readers.inline.raw, files)
        return plan, states, None if plan.is_empty and not names else names, _NO_CODE


async def explain_offline(
    project: Path, definition: AppDefinition, given: dict[str, Any]
) -> dict[str, Any]:
    """Explain an access by the app's policies over the rows of a project that does not run."""
    now = iso_ms(SystemClock().now_ms())

    def explained(raw: RawConnection) -> dict[str, Any]:
        if diff(stored_schema(raw), definition.schema):
            raise DatabaseUnusable(
                "the database does not have the schema of this app yet",
                hint="pylon migrate --apply, or start the app",
            )
        reader = ReadConnection(raw, definition.schema, tables_of(definition.schema))
        return explain_row(definition, reader, asked_of(given), now).to_json()

    async with backup.opened(database_path(project), is_live=True) as reader:
        return await reader.run(explained)


async def trim_log(
    project: Path, keep_changes: int | None, keep_days: int | None
) -> dict[str, Any]:
    """Trim the log of a project that does not run, by its settings or these bounds."""
    config = load_config(project, is_dev=False, flags={}, environment=os.environ)
    async with open_database(project) as database:
        trimmer = Trimmer(
            database, keep_changes=config["log.retain_changes"], keep_days=config["log.retain_days"]
        )
        trimmed = await trimmer.trim(keep_changes, keep_days)
        horizon, head = database.cursor(database.horizon), database.cursor()
        return {"trimmed": trimmed, "horizon": str(horizon), "head": str(head)}


async def read_log_stats(project: Path) -> dict[str, Any]:
    """Return the figures of a project's log over a read-only connection."""
    now_ms = SystemClock().now_ms()
    async with backup.opened(database_path(project), is_live=True) as reader:
        return await reader.run(lambda raw: log_stats(raw, now_ms))


async def granted_roles(project: Path) -> frozenset[str] | None:
    """Return the roles that accounts of a project have; None where there is no account yet.

    Read over a read-only connection, whether the project runs or not.
    """
    path = place_in_use(project / ".pylon").path
    if not path.is_file():
        return None
    async with backup.opened(path, is_live=True) as reader:
        return await reader.run(
            lambda raw: accounts.granted_roles(
                lambda sql, params: raw.execute(sql, params).fetchall()
            )
        )


def database_path(project: Path) -> Path:
    """Return the database of a project; raises DatabaseUnusable where there is none yet."""
    path = place_in_use(project / ".pylon").path
    if not path.is_file():
        raise DatabaseUnusable(
            f"{project.name} has no database yet", hint="it comes with the first start: pylon dev"
        )
    return path


async def until_free(project: Path, *, within_s: float) -> None:
    """Return when no runtime owns the project's folder any more.

    A runtime that is just ending keeps its port and its folder for a moment; whoever starts the
    next one waits for that instead of moving to another port.

    Raises FolderInUse where the time is over, and at once where the other one is there to stay.
    """
    folder = project / ".pylon"
    clock = SystemClock()
    started = clock.monotonic()
    while folder.is_dir():
        try:
            demand_free(folder)
        except FolderInUse:
            waited = clock.monotonic() - started
            # The first thing that a runtime does when it stops is to remove this file.
            is_staying = paths.runtime_file(project).exists() and waited > _STAYS_SECONDS
            if is_staying or waited > within_s:
                raise
            await clock.sleep(_FREE_SECONDS)
        else:
            return
