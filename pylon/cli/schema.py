"""`pylon schema`: entities, fields, indexes with their uses, and the migration that waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.plan_text import effect_lines
from pylon.supervisor.registry import running_runtime


@click.command(short_help="Show entities, indexes and their uses.")
@click.argument("entity", required=False)
@project_option
@json_option
def schema(entity: str | None, project_path: str | None, as_json: bool) -> None:
    """Show entities, fields and indexes; of a running app also how often each index was used."""
    project = find_project(project_path)
    if running_runtime(project) is not None:
        found = ask_runtime(project, lambda admin: admin.get("admin/schema"))
    else:
        found = asyncio.run(_offline(project))
    if entity is not None:
        found["entities"] = [one for one in found["entities"] if one["name"] == entity]
        if not found["entities"]:
            raise CommandFailed(f"the database has no entity {entity}", "pylon schema lists them")
    if as_json:
        print_json(found)
        return
    if not found["entities"]:
        say("the database has no entity yet: `pylon dev` makes them, `pylon check` reads app.py")
    for one in found["entities"]:
        print_line(one["name"])
        print_table(
            ["  FIELD", "KIND", "NULL", "DEFAULT", ""],
            [[f"  {field['name']}", field["kind"], "yes" if field["nullable"] else "",
              field["default"] or "", ", ".join(field["words"])] for field in one["fields"]],
        )  # fmt: skip
        for index in one["indexes"]:
            print_line(f"  index {index_words(index)}")
    if found["plan"] is not None:
        print_line("\n".join(["waits:", found["plan"]["text"], *effect_lines(found["plan"])]))
    for migration in found["data"]:
        if migration["state"] != "applied":
            say(f"data migration {migration['name']}: {migration['state']}")


def index_words(index: dict[str, Any]) -> str:
    """Return an index in a line: its fields, what it is, and how often it was used."""
    words = f"{index['name']} ({', '.join(index['fields'])})"
    words += " unique" if index["unique"] else ""
    words += "" if index["is_declared"] else ", of the Ref"
    if index["uses"] is None:
        return words
    keeps = ", which keeps values apart all the same" if index["unique"] else ""
    return f"{words}: " + (f"used {index['uses']} times" if index["uses"] else f"UNUSED{keeps}")


async def _offline(project: Path) -> dict[str, Any]:
    from pylon.app.migrationfiles import find_migrations
    from pylon.server.functions.data_migrations import states_of
    from pylon.server.functions.schema_shown import entities_shown
    from pylon.server.offline import database_path
    from pylon.server.storage.backup import opened
    from pylon.server.storage.migration_plan import stored_schema

    files = find_migrations(project)
    async with opened(database_path(project), is_live=True) as reader:
        shown = await reader.run(lambda raw: entities_shown(stored_schema(raw), None))
        data = await reader.run(lambda raw: [one.to_json() for one in states_of(raw, files)])
    return {"entities": shown, "counts_uses": False, "clients": 0, "plan": None, "data": data}
