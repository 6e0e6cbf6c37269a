"""The command line: a group that imports a command's module only when that command runs.

`pylon` alone, or with a folder, opens the dashboard; a word that is neither command nor folder
is wrong usage.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pylon.cli.app_output import end_of_data
from pylon.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    CommandFailed,
    failure_of,
    let_go,
    usage_of,
)
from pylon.cli.sections import SECTIONS
from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.errors import PylonError
from pylon.version import __version__

if TYPE_CHECKING:
    from pylon.sqlite import Error as DatabaseError

#: Command name to (module, attribute, one-line help). The help stands here so that `--help`
#: need not import the modules; a test holds it equal to each command's own.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "new": ("pylon.cli.new", "new", "Create a project from a template."),
    "dev": ("pylon.cli.dev", "dev", "Run a project with hot reload."),
    "serve": ("pylon.cli.serve", "serve", "Run a project in production, supervised."),
    "status": (
        "pylon.cli.status",
        "status",
        "Say whether the project runs, and on which branch.",
    ),
    "open": ("pylon.cli.open", "open_", "Open the running app in the browser."),
    "attach": ("pylon.cli.attach", "attach", "Open the dashboard on a runtime elsewhere."),
    "admin-door": (
        "pylon.cli.admin_door",
        "admin_door",
        "Say how the owner reaches the runtime here.",
    ),
    "tail": ("pylon.cli.watching", "tail", "Print the change log as it grows."),
    "cursors": ("pylon.cli.watching", "cursors", "Show every client and how far it has come."),
    "clients": (
        "pylon.cli.clients",
        "clients",
        "Show clients; disconnect, resync, spoil a network.",
    ),
    "ghost": ("pylon.cli.ghost", "ghost", "Watch what a user's client would get."),
    "call": ("pylon.cli.data", "call", "Call a function of the running app."),
    "functions": (
        "pylon.cli.functions",
        "functions",
        "Show the functions, and how their calls went.",
    ),
    "query": ("pylon.cli.data", "query", "List rows of an entity."),
    "reload": ("pylon.cli.reload", "reload", "Load the running app anew."),
    "check": ("pylon.cli.check", "check", "Load the app and report every mistake."),
    "projects": (
        "pylon.cli.projects",
        "projects",
        "Show all your projects; start, stop, restart, sleep, wake.",
    ),
    "policies": ("pylon.cli.policies", "policies", "Print who may do what, in words."),
    "explain": ("pylon.cli.explain", "explain", "Say why a user may do something, or not."),
    "studio": (
        "pylon.cli.studio",
        "studio",
        "Open the dashboard, or serve it to a browser of this machine.",
    ),
    "simulate": ("pylon.cli.simulate", "simulate", "Run the app with random users, badly."),
    "test": ("pylon.cli.test", "test", "Run the project's tests."),
    "codegen": ("pylon.cli.codegen", "codegen", "Write the app's types for TypeScript."),
    "keys": ("pylon.cli.keys", "keys", "Print what the dashboard's keys do."),
    "completion": (
        "pylon.cli.completion",
        "completion",
        "Print the completion script of a shell.",
    ),
    "migrate": ("pylon.cli.migrate", "migrate", "Show or apply the pending migration."),
    "schema": ("pylon.cli.schema", "schema", "Show entities, indexes and their uses."),
    "branch": (
        "pylon.cli.branch",
        "branch",
        "Copies of the database: create, switch, diff, drop.",
    ),
    "backup": ("pylon.cli.copies", "backup", "Copy the database into a file, running or not."),
    "restore": ("pylon.cli.copies", "restore", "Put a backup in the place of the database."),
    "verify": ("pylon.cli.copies", "verify", "Check a database against its change log."),
    "export": ("pylon.cli.export", "export", "Write rows as JSON or CSV."),
    "import": ("pylon.cli.importing", "import_", "Bring in rows from JSON or CSV."),
    "seed": ("pylon.cli.seed", "seed", "Run the project's seed.py, once."),
    "reset": ("pylon.cli.seed", "reset", "Begin anew: an empty database, the old one kept."),
    "files": ("pylon.cli.files", "files", "Show files; delete, sweep, verify."),
    "jobs": ("pylon.cli.jobs", "jobs", "Show jobs and queues; retry, cancel, pause."),
    "mail": ("pylon.cli.mail", "mail", "Show what was sent, and preview templates."),
    "workflows": (
        "pylon.cli.workflows",
        "workflows",
        "Show workflow runs; start, signal, mend.",
    ),
    "clock": ("pylon.cli.clock", "clock", "Show the time of the app, and warp it."),
    "log": ("pylon.cli.log", "log", "List the newest changes; look at a point, save, trim."),
    "history": ("pylon.cli.past", "history", "Show a row's changes, and who set each field."),
    "diff": ("pylon.cli.past", "diff", "Show what differs between two points of the log."),
    "restore-row": ("pylon.cli.past", "restore_row", "Bring a row back to what it was."),
    "lens": ("pylon.cli.past", "lens", "Show a row as the server, a user and a client have it."),
    "token": ("pylon.cli.people", "token", "Make an API token for a user."),
    "roles": ("pylon.cli.people", "roles", "Grant a role to a user, or take it back."),
    "users": ("pylon.cli.users", "users", "List the accounts, and manage them."),
    "login-link": ("pylon.cli.people", "login_link", "Make a one-time sign-in link for a user."),
    "rows": ("pylon.cli.rows_many", "rows", "Show rows; create, edit, delete, undo, export."),
    "sql": ("pylon.cli.sql", "sql", "Read the database by one SQL statement."),
    "backups": (
        "pylon.cli.backups",
        "backups",
        "List the backups; create, verify, restore, drop.",
    ),
    "settings": (
        "pylon.cli.settings",
        "settings",
        "Show every setting and what named it; edit, schema.",
    ),
    "health": ("pylon.cli.health", "health", "Show how the running app is doing."),
    "doctor": ("pylon.cli.doctor", "doctor", "Say what is wrong here, and what mends it."),
    "alerts": ("pylon.cli.alerts", "alerts", "Send a test alert."),
    "bug": ("pylon.cli.bug", "bug", "Put a problem into one file; replay one."),
    "desktop": (
        "pylon.cli.desktop",
        "desktop",
        "Put Pylon into the applications menu, or take it out.",
    ),
}


class LateGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all command names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None where there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute, _ = entry
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for, without importing any."""
        widest = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), COMMANDS[name][2]) for name in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a folder for the dashboard, and name the nearest command for a slip."""
        word = args[0]
        if word in COMMANDS:
            return super().resolve_command(ctx, args)
        if Path(word).is_dir():
            from pylon.cli.dashboard import dashboard

            return "dashboard", dashboard, args
        near = difflib.get_close_matches(word, COMMANDS, n=1)
        hint = f"; did you mean `pylon {near[0]}`?" if near else ""
        raise click.UsageError(f"{word!r} is neither a command nor a folder{hint}", ctx)


@click.group(
    cls=LateGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pylon")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """One process for side projects: database, API, realtime sync and a terminal dashboard.

    `pylon` alone opens the dashboard of the project in this folder, or the list of your
    projects. `pylon PATH` opens it for the project there.
    """
    if ctx.invoked_subcommand is None:
        from pylon.cli.dashboard import open_dashboard

        ctx.exit(open_dashboard(None))


#: What to do where the disk refuses a command.
_RIGHTS: Final = "look at who may read and write there, or run it as another user"
_SPACE: Final = "make room on that disk, or use another folder"
_NAME: Final = "choose another name"
_OF_THE_DISK: Final[dict[int | None, str]] = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "that disk can be read only: use a folder on another one",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EIO: "look at the disk, and at the system's log",
    errno.ENAMETOOLONG: _NAME,
    errno.ENOTDIR: _NAME,
    errno.EISDIR: _NAME,
    errno.ELOOP: _NAME,
}
_OF_THE_DATABASE: Final = (
    "look at the disk's space and at who may write to .pylon; `pylon verify` looks at the database"
)
#: Of these, what a write says, which does not know the file's name; stdout may be one.
_OF_A_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _database_error() -> type[DatabaseError]:
    """Return what the database raises; looked up only where something goes up to here."""
    from pylon.sqlite import Error

    return Error


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        _run()
    finally:
        end_of_data()


def _run() -> None:
    try:
        code = cli.main(prog_name="pylon", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo(err=True)  # the question's line is left; the shell asks on one of its own
        sys.exit(EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except click.UsageError as error:
        usage_of(error).show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PylonError as error:
        failure_of(error).show()
        sys.exit(1)
    except MISUNDERSTANDINGS as error:
        from pylon.cli.another_version import said_of_another

        said = said_of_another(error)
        if said is None:
            raise
        said.show()
        sys.exit(said.exit_code)
    except OSError as error:
        # Of the machine and not of Pylon: its words say it better than a traceback.
        is_named = error.filename is not None
        if error.errno not in _OF_THE_DISK or not (is_named or error.errno in _OF_A_WRITE):
            raise
        if not is_named:
            let_go(sys.stdout)  # it may be what has no room, and would say so once more at the end
        what = error.filename if is_named else "what was to be written was not"
        CommandFailed(f"{what}: {error.strerror}", _OF_THE_DISK[error.errno]).show()
        sys.exit(1)
    except _database_error() as error:
        from pylon.sqlite import is_of_the_disk

        if not is_of_the_disk(error):
            raise
        CommandFailed(f"the database can't be used: {error}", _OF_THE_DATABASE).show()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


assert click.UsageError.exit_code == EXIT_USAGE
