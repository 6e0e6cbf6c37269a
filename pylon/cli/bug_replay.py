"""The work of `pylon bug replay`: consent, a folder, the replay, and what came of it."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import EXIT_FAILED, CommandFailed, print_json, print_line, say
from pylon.printable import clean, counted


def replayed(file: Path, into: Path | None, *, takes_code: bool | None, as_json: bool) -> int:
    """Replay a file; returns the exit code.

    Args:
        file: the report.
        into: the folder; None: the app's name, here.
        takes_code: the file's code, too; None: ask.
        as_json: print JSON.
    """
    from pylon.server.bugs.folder import make_folder
    from pylon.server.bugs.replaying import read_bug, replay_bug

    bug = read_bug(file)
    with_code = _consent(file, bug, takes_code, as_json=as_json)
    target = into or Path.cwd() / f"{_name_of(bug)}-bug"
    target = target.parent.resolve() / target.name
    files = make_folder(target, bug, with_code=with_code)
    done = asyncio.run(replay_bug(bug, target))
    said = clean(done.difference)
    if as_json:
        print_json({
            "path": str(target), "files": files, "same": not said, "difference": said or None,
            "changes": done.changes, "rows": done.rows, "accounts": done.accounts,
            "jobs": done.jobs, "from": done.first, "to": done.last,
        })  # fmt: skip
        return EXIT_FAILED if said else 0
    span = f"changes {done.first} to {done.last}" if done.changes else "no changes"
    rows, accounts = counted(done.rows, "row"), counted(done.accounts, "account")
    print_line(f"{target}: {span}, from {rows}, with {accounts}")
    if done.jobs:
        print_line(
            f"jobs      {done.jobs} that failed stand there as dead: pylon jobs --state dead"
        )
    print_line(f"replayed  {f'differs: {said}' if said else 'same'}")
    if with_code and "app.py" not in files and "app/__init__.py" not in files:
        say("the file has no app.py: the folder is no project yet")
    say(f"next:  pylon {shlex.quote(str(target))}")
    return EXIT_FAILED if said else 0


def _name_of(bug: Any) -> str:
    given = bug.about.get("app")
    name = "".join(one for one in str(given)[:64] if one.isalnum() or one in "-_")
    return name.lstrip("-_") or "app"


def _consent(file: Path, bug: Any, takes_code: bool | None, *, as_json: bool) -> bool:
    """Return whether the file's code is taken; raises CommandFailed where nobody can say so."""
    if not bug.code:
        return False
    if takes_code is not None:
        return takes_code
    names = ", ".join(sorted(bug.code))
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandFailed(
            f"{file} holds code of whoever made it: {names}",
            "--yes puts it into the project, where it runs when you open that; --no-code makes an"
            " app of the schema instead. `pylon bug show` shows it",
        )
    say(f"{file} holds code of whoever made it: {names}")
    say("it runs as you when you open the project. `pylon bug show` shows it first;"
        " without it an app is made of the schema")  # fmt: skip
    return click.confirm("put its code into the project?", default=False, err=True)
