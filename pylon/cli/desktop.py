"""`pylon desktop`: a launcher entry with icon in the system's menu, and what it opens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, print_json, print_line, print_pair, say
from pylon.cli.project import json_option


class _Group(click.Group):
    """What was installed is uninstalled elsewhere: the word is understood here, too."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; `uninstall` is `remove`."""
        return super().get_command(ctx, "remove" if cmd_name == "uninstall" else cmd_name)


@click.group(cls=_Group, short_help="Put Pylon into the applications menu, or take it out.")
def desktop() -> None:
    """A launcher entry with icon: Pylon in the system's menu, opened in your terminal."""


@desktop.command(short_help="Install the entry, or mend it.")
@json_option
def install(as_json: bool) -> None:
    """Put Pylon into the menu of this system's applications; mends an entry that is there.

    It opens the list of your projects in your terminal. All of it lies in folders of your own.
    """
    from pylon.desktop import here
    from pylon.desktop.install import read_record

    change = here.install_here()
    if as_json:
        record = read_record()
        print_json(
            {
                "installed": True,
                "command": list(here.own()),
                "written": list(change.done),
                "files": sorted(record.files) if record is not None else [],
                "left": list(change.left),
                "system": here.system_entry(),
            }
        )
        return
    for path in change.done:
        print_line(path)
    say(here.told(change))
    for path in change.left:
        say(f"left, because it was changed: {path}")
    if (system := here.system_entry()) is not None:
        say(f"it stands before the entry of a package: {system}")


@desktop.command(short_help="Remove what was installed.")
@click.option("--force", "is_forced", is_flag=True, help="Also files that were changed since.")
@json_option
def remove(is_forced: bool, as_json: bool) -> int:
    """Remove the files of the entry, and nothing else; exits 1 where a changed one stays."""
    from pylon.desktop import install as installing

    change = installing.remove(is_forced=is_forced)
    if as_json:
        print_json({"removed": list(change.done), "left": list(change.left)})
    else:
        for path in change.done:
            print_line(path)
        for path in change.left:
            say(f"left, because it was changed: {path} (--force removes it)")
        if not change.left:
            say("Pylon is not in the menu any more" if change.done else "nothing was installed")
    return EXIT_FAILED if change.left else 0


@desktop.command(short_help="Say whether the entry works.")
@json_option
def status(as_json: bool) -> int:
    """Say what is installed, what it opens, and whether that is there; exits 1 where it is not."""
    found = _looked_at()
    if as_json:
        print_json(found)
    elif not found["installed"]:
        print_pair("installed", "no")
        if found["system"] is not None:
            print_pair("system", found["system"])
        say("`pylon desktop install` does it")
    else:
        print_pair("installed", "yes")
        print_pair("opens", " ".join(found["command"]))
        for one in found["files"]:
            print_pair(one["state"], one["path"])
        for problem in found["problems"]:
            say(problem)
        if found["problems"]:
            say("`pylon desktop install` mends it")
        elif any(one["state"] == "changed" for one in found["files"]):
            say("what was changed stays so until `pylon desktop install` writes it anew")
    return EXIT_FAILED if found["problems"] else 0


def _looked_at() -> dict[str, Any]:
    from pylon.desktop import here
    from pylon.desktop import install as installing

    record = installing.read_record()
    if record is None:
        return {
            "installed": False, "ok": True, "command": [], "files": [], "problems": [],
            "system": here.system_entry(),
        }  # fmt: skip
    files = [{"path": path, "state": state} for path, state in installing.states(record).items()]
    problems = here.problems(record)
    if not problems and record.command != here.own():
        say(f"it opens another Pylon than this one, {' '.join(here.own())}")
    return {
        "installed": True, "ok": not problems, "command": list(record.command), "files": files,
        "problems": problems, "system": here.system_entry(),
    }  # fmt: skip


@desktop.command(name="open", short_help="Open the list of your projects, as the entry does.")
@click.option("--hold", "is_holding", is_flag=True, help="After a failure wait for enter.")
def open_(is_holding: bool) -> int:
    """Open the list of your projects in this terminal, from your own folder, as the entry does."""
    if is_holding:
        from pylon.desktop import here

        command = [*here.own(), "desktop", "open"]
        code = subprocess.run(command, check=False).returncode  # noqa: S603 -- ourselves
        if code not in (0, EXIT_INTERRUPTED):
            say(f"Pylon ended with code {code}; press enter to close")
            _ = sys.stdin.readline()
        return code
    from pylon.cli.dashboard import open_shelf

    os.chdir(Path.home())
    return open_shelf()
