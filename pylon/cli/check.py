"""`pylon check`: load the app and report every mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from pylon.cli.app_output import read_app
from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_argument
from pylon.errors import ConfigError, LoadFailed, Mistake
from pylon.printable import clean_block, counted
from pylon.server.settings_places import settings_mistake

_ERROR: Final = "error"
_WARNING: Final = "warning"
_ADVICE: Final = "ADVICE"
_PLACED: Final = re.compile(r"[^\s:]+:\d+(?::\d+)?: ", re.ASCII)


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
    root = find_project(path)
    definition, mistakes = None, [(one, ConfigError.code) for one in _settings_mistakes(root)]
    try:
        definition = read_app(root)
    except LoadFailed as failure:
        mistakes = [*((one, failure.code) for one in failure.mistakes), *mistakes]
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
            click.echo(clean_block(_advice_line(one)), err=True)
        words = f"{counted(entities, 'entity', 'entities')}, {counted(functions, 'function')}"
        print_line(f"{definition.name}: {words}, no mistakes")


def _mail_mistakes(root: Path) -> Sequence[str]:
    """Return what is wrong with the mail templates: no start would stop, but mails would fail."""
    folder = root / "mail"
    if not folder.is_dir():
        return ()
    from pylon.server.mail.preview import MailPreviews
    from pylon.server.mail.templates import MailTemplates

    return MailPreviews(MailTemplates(folder), str).mistakes()


def _settings_mistakes(root: Path) -> tuple[Mistake, ...]:
    """Return all mistakes of the settings: each would stop a start as one of the app's does."""
    from pylon.server.config import outer_environment
    from pylon.server.settings_shown import mistakes_of

    return tuple(settings_mistake(root, one) for one in mistakes_of(root, outer_environment()))


def _tell(mistakes: Sequence[tuple[Mistake, str]], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {"message": one.message, "file": one.file, "line": one.line, "column": one.column,
             "hint": one.hint, "severity": _ERROR, "code": code}
            for one, code in mistakes
        ]  # fmt: skip
        print_json({"ok": False, "mistakes": shown})
        return
    for mistake, code in mistakes:
        click.echo(clean_block(editor_lines(mistake, _ERROR, code)), err=True)


def editor_lines(mistake: Mistake, severity: str, code: str) -> str:
    """Return `file:line:column: severity: message [CODE]`, then excerpt and hint, indented."""
    first, *more = mistake.message.splitlines() or [""]
    place = ":".join(str(part) for part in (mistake.file, mistake.line, mistake.column) if part)
    lines = [f"{place + ': ' if place else ''}{severity}: {first} [{code}]", *more]
    lines += [mistake.excerpt] if mistake.excerpt else []
    lines += [f"  hint: {mistake.hint}"] if mistake.hint else []
    return "\n".join(lines)


def _advice_line(advice: str) -> str:
    """Return a piece of advice as editors read it; its place, where it has one, stands first."""
    found = _PLACED.match(advice)
    place, words = (found[0], advice[found.end() :]) if found else ("", advice)
    first, newline, rest = words.partition("\n")
    return f"{place}{_WARNING}: {first} [{_ADVICE}]{newline}{rest}"
