"""This very Pylon on this very system: what is asked of the machine before something is planned."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from pylon.desktop.install import (
    Change,
    Record,
    install,
    launch_script,
    own_command,
    run,
    states,
)
from pylon.desktop.plan import plan, system_entries

_MENUS: Final = {"darwin": "~/Applications and Launchpad", "win32": "the Start menu"}


def own() -> tuple[str, ...]:
    """Return what runs this Pylon."""
    return own_command(sys.argv[0], sys.executable)


def install_here() -> Change:
    """Install the entry for the user whose process this is, or mend it."""
    command = own()
    return install(plan(sys.platform, os.environ, Path.home(), command, launch_script()), command)


def system_entry() -> str | None:
    """Return the entry that a package installed for everybody, where there is one."""
    if sys.platform in ("darwin", "win32"):
        return None
    return next((str(one) for one in system_entries(os.environ) if Path(one).is_file()), None)


def problems(record: Record) -> list[str]:
    """Return what is wrong with an installed entry: files, or the Pylon that it opens.

    A file that somebody changed is his, and not wrong for that. Another Pylon than this one is
    asked for its version: a program may be there whose interpreter is gone.
    """
    found = [f"{path} is missing" for path, state in states(record).items() if state == "missing"]
    program = record.command[0]
    if not os.access(program, os.X_OK):
        found.append(f"the entry points at nothing: there is no {program}")
    elif record.command != own():
        code, said = run((*record.command, "--version"))
        if code != 0:
            last = said.strip().rpartition("\n")[2] or f"exit code {code}"
            found.append(f"what the entry opens does not start: {program}: {last}")
    return found


def told(change: Change) -> str:
    """Return in words where Pylon is now."""
    where = _MENUS.get(sys.platform, "the applications menu")
    return f"Pylon is in {where}{'' if change.done else ' already'}; it opens {' '.join(own())}"
