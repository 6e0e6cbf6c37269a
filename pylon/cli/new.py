"""`pylon new`: a project from a template."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

from pylon.cli.output import print_json, print_line, say
from pylon.cli.project import json_option


@click.command(short_help="Create a project from a template.")
@click.argument("name", required=False)
@click.option("--template", "-t", default="blank", show_default=True, help="What to start from.")
@click.option("--list", "list_templates", is_flag=True, help="List the templates and stop.")
@json_option
def new(name: str | None, template: str, list_templates: bool, as_json: bool) -> None:
    """Create the project NAME in a new folder of that name.

    Nothing is written outside that folder, and a folder that is not empty is refused.
    """
    from pylon.devtools import scaffold

    if list_templates:
        found = scaffold.templates()
        if as_json:
            print_json([{"name": one.name, "summary": one.summary} for one in found])
        else:
            for one in found:
                print_line(f"{one.name:<10} {one.summary}")
        return
    if name is None:
        raise click.UsageError("name the project: pylon new NAME")
    target = scaffold.create_project(Path.cwd(), name, template)
    if as_json:
        print_json({"path": str(target), "template": template})
        return
    print_line(f"created {name} from the template {template}")
    if (target / "src").is_dir() and not list((target / "web").glob("*.js")):
        say("its page is not built: run `make client` in Pylon's checkout and create it again")
    print_line(f"next:  cd {name} && {_command()}")


def _command() -> str:
    """Return how to call this very program from another folder."""
    known = shutil.which("pylon")
    own = Path(sys.argv[0]).resolve()
    is_known = known is not None and Path(known).resolve() == own
    return "pylon" if is_known or own.name != "pylon" else shlex.quote(str(own))
