"""A project's folder made of a report: fresh, owner-only, and nothing outside of it."""

from __future__ import annotations

import os
from pathlib import Path

from pylon import paths
from pylon.errors import PylonError
from pylon.server.bugs.replaying import Bug
from pylon.server.bugs.stand_in import stand_in_app

_GITIGNORE = ".pylon/\n.env\n__pycache__/\nnode_modules/\n"


class FolderTaken(PylonError):
    """The folder that is to be made is there already."""

    code = "SCAFFOLD_FAILED"


def make_folder(target: Path, bug: Bug, *, with_code: bool) -> list[str]:
    """Make a project of a report; returns the files that were written.

    Args:
        target: the folder, which must be absent or empty.
        bug: the report.
        with_code: its code and settings, too; else an app of its schema alone.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise FolderTaken(f"{target} is there already", hint="name another folder: --into")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {".gitignore": _GITIGNORE}
    if with_code:
        files |= bug.code
        if bug.settings.strip():
            files["pylon.toml"] = bug.settings
    else:
        files["app.py"] = stand_in_app(bug.schema)
    for name, text in files.items():
        path = target / name
        # Names of code were held to a form: parts of letters, digits and `_`.
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
    paths.sync_folder(target)
    return sorted(name for name in files if not name.startswith("."))
