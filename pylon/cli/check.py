"""`pylon check`: load the app and report every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pylon.cli.address import check_settings
from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_argument
from pylon.cli.settings_places import settings_mistake
from pylon.errors import ConfigError, LoadFailed, Mistake
from pylon.printable import clean_block


@click.command(short_help="Load the app and report every mistake.")
@project_argument
@click.option(
    "--settings-schema", is_flag=True, help="Print the JSON Schema of pylon.toml, and stop."
)
@json_option
def check(path: str | None, settings_schema: bool, as_json: bool) -> None:
    """Load the app and the settings at PATH and report mistakes, with file, line and column.

    Exits 0 for an app that would start, 1 otherwise; advice stops no start. Runs the app's module,
    nothing else.
    """
    if settings_schema:
        from pylon.server.settings_schema import settings_schema as schema

        print_json(schema())
        return
    from pylon.app.loader import load_app

    root = find_project(path)
    definition, mistakes = None, _settings_mistakes(root)
    try:
        definition = load_app(root, generation=0)
    except LoadFailed as failure:
        mistakes = (*failure.mistakes, *mistakes)
    if definition is None or mistakes:
        _tell(mistakes, as_json=as_json)
        count = len(mistakes)
        raise CommandFailed(
            f"{count} mistake{'s' if count != 1 else ''} in {root.name}", "mend and run it again"
        )
    advice = [*definition.warnings, *_mail_mistakes(root)]
    entities, functions = len(definition.schema.entities), len(definition.functions)
    if as_json:
        print_json(
            {"ok": True, "app": definition.name, "entities": entities, "functions": functions,
             "advice": advice}
        )  # fmt: skip
    else:
        for one in advice:
            click.echo(f"advice: {clean_block(one)}", err=True)
        print_line(f"{definition.name}: {entities} entities, {functions} functions, no mistakes")


def _mail_mistakes(root: Path) -> Sequence[str]:
    """Return what is wrong with the mail templates: no start would stop, but mails would fail."""
    folder = root / "mail"
    if not folder.is_dir():
        return ()
    from pylon.server.mail.preview import MailPreviews
    from pylon.server.mail.templates import MailTemplates

    return MailPreviews(MailTemplates(folder), str).mistakes()


def _settings_mistakes(root: Path) -> tuple[Mistake, ...]:
    """Return the first mistake of the settings: it would stop a start as one of the app's does."""
    try:
        check_settings(root)
    except ConfigError as error:
        return (settings_mistake(root, error),)
    return ()


def _tell(mistakes: Sequence[Mistake], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {"message": one.message, "file": one.file, "line": one.line, "column": one.column,
             "hint": one.hint}
            for one in mistakes
        ]  # fmt: skip
        print_json({"ok": False, "mistakes": shown})
        return
    for mistake in mistakes:
        click.echo(mistake.render(), err=True)
