"""`pylon new`: a project from a template."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import json_option

if TYPE_CHECKING:
    from pylon.devtools import scaffold

_DEFAULT = "blank"


def _template_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from pylon.devtools import scaffold

    return [one.name for one in scaffold.templates() if one.name.startswith(begun)]


@click.command(short_help="Create a project from a template.")
@click.argument("name", required=False)
@click.option(
    "--template",
    "-t",
    shell_complete=_template_names,
    help=f"What to start from (default: {_DEFAULT}).",
)
@click.option("--install/--no-install", "installs", default=None,
              help="Install the npm packages of a template that has some.")  # fmt: skip
@click.option("--list", "list_templates", is_flag=True, help="List the templates and stop.")
@json_option
def new(
    name: str | None, template: str | None, installs: bool | None, list_templates: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Create the project NAME in a new folder of that name.

    In a terminal it asks for a NAME that was not given, then for a template, and whether to install
    npm packages where there are some. No file is made outside that folder, and a
    folder that is not empty is refused. `pylon projects` lists it from then on.
    """
    from pylon.devtools import scaffold

    if list_templates:
        _list(scaffold.templates(), as_json=as_json)
        return
    may_ask = not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    if name is None:
        if not may_ask:
            raise click.UsageError("name the project: pylon new NAME")
        name = _ask_name()
        template = template or _ask_template(scaffold.templates())
    target = scaffold.create_project(Path.cwd(), name, template or _DEFAULT)
    _put_on_the_list(target)
    has_packages = (target / "package.json").is_file()
    installs = install_packages(target, installs, may_ask=may_ask)
    if as_json:
        print_json({"path": str(target), "template": template or _DEFAULT})
        return
    print_line(f"created {name} from the template {template or _DEFAULT}")
    if not has_packages and (target / "src").is_dir() and not list((target / "web").glob("*.js")):
        say("its page is not built: run `make client` in Pylon's checkout, then make it anew")
    steps = [f"cd {name}", *(["npm install"] if has_packages and not installs else []), _command()]
    print_line(f"next:  {' && '.join(steps)}")


def install_packages(target: Path, installs: bool | None, *, may_ask: bool) -> bool:
    """Install the npm packages of a new project that has some; tells whether that was done.

    `installs` is what was said about it; None: nothing, and it is asked where that may be.
    """
    if not (target / "package.json").is_file():
        return False
    if installs is None and may_ask:
        installs = click.confirm("install its npm packages now?", default=True, err=True)
    if installs:
        _install(target)
    return bool(installs)


def _put_on_the_list(project: Path) -> None:
    """Have it be one of the user's projects."""
    from pylon.clock import SystemClock
    from pylon.supervisor import registry

    with suppress(OSError):  # the list can't be written: what was made is there all the same
        registry.remember_project(project, SystemClock().now_ms())


def _list(found: tuple[scaffold.Template, ...], *, as_json: bool) -> None:
    if as_json:
        print_json([{"name": one.name, "summary": one.summary} for one in found])
        return
    for one in found:
        print_line(_described(one, is_wrapped=sys.stdout.isatty()))


def _described(one: scaffold.Template, *, is_wrapped: bool) -> str:
    """Return name and summary; a terminal would break a long line within a word."""
    line = f"{one.name:<10} {one.summary}"
    if not is_wrapped:
        return line
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(line, max(40, columns - 1), subsequent_indent=" " * 11)


def _ask_name() -> str:
    from pylon.devtools import scaffold

    while True:
        name: str = click.prompt("name of the project", err=True)
        against = scaffold.objection(Path.cwd(), name)
        if not against:
            return name
        say(against)


def _ask_template(found: tuple[scaffold.Template, ...]) -> str:
    for one in found:
        say(_described(one, is_wrapped=True))
    names = click.Choice([one.name for one in found])
    chosen: str = click.prompt(
        "template", type=names, default=_DEFAULT, show_choices=False, err=True
    )
    return chosen


def _install(target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CommandFailed(
            f"{target.name} is made; there is no npm to install its packages",
            "install Node 20.19 or newer, then run npm install in it",
        )
    say("installing its npm packages …")
    done = subprocess.run(  # noqa: S603 -- asked for
        [npm, "install", "--no-audit", "--no-fund"], cwd=target, stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise CommandFailed(
            f"{target.name} is made; npm install ended with code {done.returncode}",
            f"see above; then: cd {target.name} && npm install",
        )


def _command() -> str:
    """Return how to call this very program from another folder."""
    known = shutil.which("pylon")
    own = Path(sys.argv[0]).resolve()
    is_known = known is not None and Path(known).resolve() == own
    return "pylon" if is_known or own.name != "pylon" else shlex.quote(str(own))
