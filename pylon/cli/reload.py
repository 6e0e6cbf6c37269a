"""`pylon reload`: have the running app loaded anew, as a save would."""

from __future__ import annotations

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime


@click.command("reload", short_help="Load the running app anew.")
@click.option("--migrate", "migrate", is_flag=True, help="Apply the migration that waits.")
@project_option
@json_option
def reload(migrate: bool, project_path: str | None, as_json: bool) -> None:
    """Load the running app anew; the old version serves on where the new one has mistakes.

    --migrate applies a migration that waits for consent; a copy of the database is made first.
    """
    answer = ask_runtime(
        find_project(project_path),
        lambda admin: admin.post("admin/reload", {"consent": migrate}, is_patient=True),
    )
    if as_json:
        print_json(answer)
    if not answer["ok"]:
        mistakes = "\n\n".join(answer["mistakes"])
        hint = "`pylon reload --migrate` applies this:\n" + answer["plan"] if answer["plan"] else ""
        raise CommandFailed(f"the old version serves on\n{mistakes}", hint or None)
    if not as_json:
        print_line(f"generation {answer['generation']} in {answer['ms']} ms")
