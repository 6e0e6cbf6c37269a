"""`pylon check`: load the app and report every mistake."""

from __future__ import annotations

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_argument
from pylon.errors import LoadFailed


@click.command(short_help="Load the app and report every mistake.")
@project_argument
@json_option
def check(path: str | None, as_json: bool) -> None:
    """Load the app at PATH and report every mistake at once, with file, line and column.

    Exits 0 for an app that would start, 1 otherwise; advice stops no start. Runs the app's module,
    nothing else.
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
            {"ok": True, "app": definition.name, "entities": entities, "functions": functions,
             "advice": list(definition.warnings)}
        )  # fmt: skip
    else:
        for advice in definition.warnings:
            click.echo(f"advice: {advice}", err=True)
        print_line(f"{definition.name}: {entities} entities, {functions} functions, no mistakes")
