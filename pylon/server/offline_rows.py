"""A project's rows, out and in, without a running runtime; no project code runs here.

Reading goes over a read-only connection, whether the project runs or not, so that an export is of
one moment and costs the runtime nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

from pylon.clock import SystemClock, iso_ms
from pylon.errors import NotFound
from pylon.identity import SYSTEM
from pylon.policy.filters import compile_filter_text
from pylon.policy.mistakes import nearest
from pylon.schema.model import Entity, Schema
from pylon.server.functions.import_parts import take_parts
from pylon.server.offline import database_path, open_database
from pylon.server.storage import backup
from pylon.server.storage.exporting import Export, in_order_of_references, read_rows
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.select import NO_CLAUSE
from pylon.sqlite import RawConnection

T = TypeVar("T")
Rows = Iterator[tuple[Entity, dict[str, Any]]]


async def export_rows(
    project: Path, names: Sequence[str], where: str | None,
    use: Callable[[Sequence[Entity], Rows], T],
) -> T:  # fmt: skip
    """Have `use` take (entities in order, their rows) of one moment, on a reader's thread.

    Args:
        project: whose database; it may run meanwhile.
        names: of the entities; none: all.
        where: a filter in the policy language, of the one entity.
        use: goes through the rows; its value is returned.

    Raises NotFound for an entity, InvalidArgument for a filter, DatabaseUnusable.
    """
    now = iso_ms(SystemClock().now_ms())

    def read(raw: RawConnection) -> T:
        schema = stored_schema(raw)
        entities = in_order_of_references(schema, _known(schema, names))
        clause = NO_CLAUSE
        if where is not None:
            found = compile_filter_text(where, entity=entities[0], schema=schema)
            clause = found.clause(SYSTEM, alias="t", now=now)
        # Closed here: where `use` gives up, the read ends while the connection is there.
        with closing(read_rows(raw, [Export(one, clause) for one in entities])) as rows:
            return use(entities, rows)

    async with backup.opened(database_path(project), is_live=True) as reader:
        return await reader.run(read)


async def entity_names(project: Path) -> list[str]:
    """Return the entities of a project's database; it may run meanwhile.

    Raises DatabaseUnusable.
    """
    async with backup.opened(database_path(project), is_live=True) as reader:
        return await reader.run(lambda raw: list(stored_schema(raw).entities))


def _known(schema: Schema, names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in schema.entities:
            raise NotFound(f"there is no entity {name:.64}", hint=nearest(name, schema.entities))
    return names or list(schema.entities)


@asynccontextmanager
async def open_import(
    project: Path,
) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
    """Open the database of a project that does not run, for what POST /api/admin/import takes."""
    database_path(project)  # there is one, with a schema: nothing is made beside the app
    async with open_database(project) as database:

        async def take(body: dict[str, Any]) -> dict[str, Any]:
            answer = await take_parts(
                database.writer, database.clock, body, database.ids.uuid7, has_policies=False
            )
            error = answer["error"] or {}
            problems = error.get("details", {}).get("problems", ())
            if any("is required" in one["message"] for one in problems):
                error["hint"] = "defaults are the app's: start it, and import while it runs"
            return answer

        yield take
