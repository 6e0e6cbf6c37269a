"""The database brought to the app's schema at a start, or the start refused with what to do.

What does not live here: the plan and its transaction (`storage.migrate`), and the changes of rows
(`functions.data_migrations`).
"""

from __future__ import annotations

from pylon.app.definition import AppDefinition
from pylon.errors import PylonError
from pylon.server.functions.data_migrations import DataMigrations
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.migration_plan import MigrationPlan, make_plan


async def bring_to_schema(
    database: Database, definition: AppDefinition, *, may_migrate: bool
) -> DataMigrations:
    """Bring the database to the app's schema; returns the changes of rows that wait.

    Args:
        database: the one in use.
        definition: the app.
        may_migrate: pending changes are applied; else only the tables of a new project are made.

    Raises PylonError where changes wait that may not be applied, and MigrationRefused.
    """
    schema = definition.schema
    plan = await database.run_on_writer(lambda raw: make_plan(raw, schema))
    is_first = database.head == 0 and not database.schema.entities
    if not plan.is_empty and not may_migrate and not (is_first and _is_new(plan)):
        raise PylonError(
            "the app's schema is not the database's:\n" + plan.render(),
            hint="start with --migrate, or apply it first: pylon migrate --apply",
        )
    data = DataMigrations(database, definition)
    if data.pending and not may_migrate and not is_first:
        raise PylonError(
            f"data migrations wait: {', '.join(data.names)}",
            hint="start with --migrate, or apply them first: pylon migrate --apply",
        )
    await data.try_first(consent=False)
    await migrate(database, schema)
    return data


def _is_new(plan: MigrationPlan) -> bool:
    return all(step.kind == "create table" for step in plan.steps)
