"""`pylon settings`: every setting in force, what named it, what it means, and mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import (
    EXIT_FAILED,
    CommandFailed,
    print_json,
    print_line,
    print_pair,
    print_table,
    say,
)
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.settings_text import mistake_line, origin_text, value_text
from pylon.supervisor.registry import running_runtime


class _Settings(ListGroup):
    """A setting's name is no command: it is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take `pylon settings server.port` for `pylon settings show server.port`."""
        if "." in args[0]:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Settings, invoke_without_command=True,
    short_help="Show every setting and what named it; edit, schema.",
)  # fmt: skip
@project_option
@json_option
@click.pass_context
def settings(ctx: click.Context, project_path: str | None, as_json: bool) -> Any:
    """Show every setting in force: its value, what named it, and what a change needs.

    `pylon settings` alone is `pylon settings list`, and with a setting's name it shows that one.
    """
    return list_unless_told(ctx, project_path, as_json=as_json)


@settings.command(short_help="Print the JSON Schema of pylon.toml, for editors.")
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of pylon.toml; it is JSON with and without `--json`."""
    _print_schema()


def _print_schema() -> None:
    from pylon.server.settings_schema import settings_schema

    print_json(settings_schema())


@settings.command("list", short_help="List the settings, and mistakes with their places.")
@click.option("--search", metavar="WORDS", help="Only those whose names have all the words.")
@click.option("--changed", is_flag=True, help="Only those that are not the default.")
@click.option("--production", is_flag=True, help="As `pylon serve` would read them.")
@click.option("--schema", "is_schema", is_flag=True, help="Print the JSON Schema of pylon.toml.")
@project_option
@json_option
def list_settings(
    search: str | None = None, changed: bool = False, production: bool = False,
    is_schema: bool = False, project_path: str | None = None, as_json: bool = False,
) -> int:  # fmt: skip
    """List the settings of the runtime, where one runs.

    Without a runtime it is what the next start takes. Exits 1 where mistakes would stop that.
    """
    if is_schema:
        _print_schema()
        return 0
    found = read_settings(find_project(project_path), is_dev=not production)
    found["settings"] = [
        one for one in found["settings"]
        if all(word in one["key"] for word in (search or '').split())
        and not (changed and one["origin"] == "default")
    ]  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _print(found)
    return EXIT_FAILED if found["mistakes"] else 0


@settings.command("show", short_help="Show all about a setting.")
@click.argument("key")
@project_option
@json_option
def show_setting(key: str, project_path: str | None, as_json: bool) -> None:
    """Show a setting: value, what named it, meaning, default, and what a change needs."""
    one = _setting(read_settings(find_project(project_path), is_dev=True), key)
    if as_json:
        print_json(one)
        return
    for name, value in (
        ("setting", one["key"]), ("value", value_text(one["value"])), ("from", origin_text(one)),
        ("default", value_text(one["default"])), ("type", one["kind"]), ("what", one["doc"]),
        ("change", f"needs {one['needs']}"),
    ):  # fmt: skip
        print_pair(name, value)
    if one["next"] is not None:
        start = "the next start" if one["waits"] else "a start without that"
        print_pair("next", f"{start} takes {value_text(one['next'])}")


@settings.command("edit", short_help="Open pylon.toml in $EDITOR where a setting stands.")
@click.argument("key", required=False)
@project_option
@json_option
def edit_settings(key: str | None, project_path: str | None, as_json: bool) -> int:
    """Open pylon.toml in your editor (VISUAL, EDITOR), at the line of KEY.

    With --json nothing is opened: it says which file, and which line.
    """
    from pylon.tui.editing import NoEditor, editor_command

    project = find_project(project_path)
    found = read_settings(project, is_dev=True)
    line = None if key is None else _setting(found, key)["line"]
    path = project / "pylon.toml"
    if as_json:
        print_json({"file": str(path), "line": line})
        return 0
    is_named = bool(os.environ.get("VISUAL") or os.environ.get("EDITOR"))
    if not is_named and not (sys.stdin.isatty() and sys.stdout.isatty()):
        # What is there of its own accord draws on a terminal, and would wait for keys for ever.
        raise CommandFailed("an editor needs a terminal", f"edit {path}, or have EDITOR name one")
    try:
        command = editor_command(path, line, os.environ)
        code = subprocess.run(command, check=False).returncode  # noqa: S603 -- the user's own
    except NoEditor as error:
        raise CommandFailed(str(error), f"the file is {path}") from error
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}", "EDITOR names another") from None
    return _mistakes_left(read_settings(project, is_dev=True)) or code


def read_settings(project: Path, *, is_dev: bool) -> dict[str, Any]:
    """Return the settings of the running runtime; where none runs, what the next start takes."""
    if running_runtime(project) is not None:
        return ask_runtime(project, lambda admin: admin.get("admin/settings"))
    return closed_settings(project, is_dev=is_dev)


def closed_settings(project: Path, *, is_dev: bool = True) -> dict[str, Any]:
    """Return the settings that a project's files and this environment name."""
    from pylon.server.config import outer_environment
    from pylon.server.settings_shown import settings_shown

    return settings_shown(project, outer_environment(), is_dev=is_dev)


def _setting(found: dict[str, Any], key: str) -> dict[str, Any]:
    for one in found["settings"]:
        if one["key"] == key:
            setting: dict[str, Any] = one
            return setting
    from difflib import get_close_matches

    near = get_close_matches(key, [one["key"] for one in found["settings"]], n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else "pylon settings lists them"
    raise CommandFailed(f"there is no setting {key}", hint)


def _print(found: dict[str, Any]) -> None:
    print_table(
        ["", "SETTING", "VALUE", "FROM", "DEFAULT"],
        [
            ["≠" if one["waits"] else "", one["key"], value_text(one["value"]), origin_text(one),
             value_text(one["default"])]
            for one in found["settings"]
        ],
    )  # fmt: skip
    waits = [one for one in found["settings"] if one["waits"]]
    for one in waits:
        print_line(f"≠ {one['key']}: the next start takes {value_text(one['next'])}")
    if not found["is_running"]:
        say("it does not run: this is what the next start takes")
    _mistakes_left(found)


def _mistakes_left(found: dict[str, Any]) -> int:
    for one in found["mistakes"]:
        say(mistake_line(one))
    return EXIT_FAILED if found["mistakes"] else 0
