"""`pylon check` and `pylon policies`: load the app; report mistakes, or who may do what."""

from __future__ import annotations

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_argument
from pylon.errors import LoadFailed
from pylon.schema.model import Access


@click.command(short_help="Load the app and report every mistake.")
@project_argument
@json_option
def check(path: str | None, as_json: bool) -> None:
    """Load the app at PATH and report every mistake at once, with file, line and column.

    Exits 0 for an app that would start, 1 otherwise. Runs the app's module, nothing else.
    """
    from pylon.app.loader import load_app

    root = find_project(path)
    try:
        definition = load_app(root, generation=0)
    except LoadFailed as failure:
        if as_json:
            print_json(
                {
                    "ok": False,
                    "mistakes": [
                        {
                            "message": one.message,
                            "file": one.file,
                            "line": one.line,
                            "column": one.column,
                            "hint": one.hint,
                        }
                        for one in failure.mistakes
                    ],
                }
            )
        else:
            for mistake in failure.mistakes:
                click.echo(mistake.render(), err=True)
        count = len(failure.mistakes)
        raise CommandFailed(
            f"{count} mistake{'s' if count != 1 else ''} in {root.name}", "mend and run it again"
        ) from failure
    entities, functions = len(definition.schema.entities), len(definition.functions)
    if as_json:
        print_json(
            {"ok": True, "app": definition.name, "entities": entities, "functions": functions}
        )
    else:
        print_line(f"{definition.name}: {entities} entities, {functions} functions, no mistakes")


@click.command(short_help="Print who may do what, in words.")
@project_argument
@json_option
def policies(path: str | None, as_json: bool) -> None:
    """Print the matrix of entity and access with each policy in words."""
    from pylon.app.loader import load_app

    definition = load_app(find_project(path), generation=0)
    rows = [
        {
            "entity": entity.name,
            "access": access.value,
            "policy": entity.policies.get(access),
            "in_words": definition.policies.get(entity.name, access).sentence
            if access in entity.policies
            else "nobody (no policy)",
        }
        for entity in definition.schema.entities.values()
        for access in Access
    ]
    rows += [
        {
            "entity": f"{name}()",
            "access": "call",
            "policy": None if one.allow is None else one.allow.text,
            "in_words": "every signed-in caller (no allow=)"
            if one.allow is None
            else one.allow.sentence,
        }
        for name, one in definition.functions.items()
        if not one.is_internal
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print_line(f"{row['entity']:<16} {row['access']:<7} {row['in_words']}")
