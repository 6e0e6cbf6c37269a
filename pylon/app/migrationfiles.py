"""`migrations/0001_name.py` beside the app: numbered changes of rows, each `def migrate(ctx)`.

Finding them runs nothing. What does not live here: which of them a database has had
(`server.functions.data_migrations`).
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pylon.app.seedfile import run_file
from pylon.errors import LoadFailed, Mistake

FOLDER: Final = "migrations"
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]{1,60}\Z", re.ASCII)
_MODULE: Final = "_pylon_migration"


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file: its number, its name without `.py`, and the hash of its text."""

    number: int
    name: str
    path: Path
    hash: str

    @property
    def shown(self) -> str:
        """Return the file as people write it."""
        return f"{FOLDER}/{self.path.name}"


@dataclass(frozen=True, slots=True)
class Migration:
    """What a file does; with a cursor it is called again and again until it returns None."""

    file: MigrationFile
    function: Callable[..., Any]
    has_cursor: bool


def find_migrations(root: Path) -> list[MigrationFile]:
    """Return a project's files, in order of their numbers, without running any.

    Raises LoadFailed for names that say no number, and for two of one number.
    """
    folder = root / FOLDER
    found: dict[int, MigrationFile] = {}
    mistakes = []
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        if path.name == "__init__.py":
            continue
        place = f"{FOLDER}/{path.name}"
        match = _NAME.match(path.stem)
        if match is None or int(match[1]) == 0:
            hint = "name it 0001_what_it_does.py: four digits, then a-z, 0-9 and _"
            mistakes.append(Mistake("no name of a data migration", file=place, hint=hint))
            continue
        number = int(match[1])
        if number in found:
            text = f"number {match[1]} is taken by {found[number].path.name}"
            mistakes.append(Mistake(text, file=place, hint="give it the next free number"))
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[number] = MigrationFile(number, path.stem, path, digest)
    if mistakes:
        raise LoadFailed(tuple(mistakes))
    return [found[number] for number in sorted(found)]


def load_migration(root: Path, file: MigrationFile) -> Migration:
    """Run a file and return its `migrate`; raises LoadFailed with the place of what is wrong."""
    function: Any = run_file(file.path, root, _MODULE).get("migrate")
    names = list(inspect.signature(function).parameters) if callable(function) else []
    is_plain = callable(function) and not (
        inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)
    )
    if not is_plain or len(names) not in (1, 2) or names[1:] not in ([], ["cursor"]):
        hint = "def migrate(ctx): … or, in parts, def migrate(ctx, cursor): … return the next"
        raise LoadFailed((Mistake("there is no function migrate", file=file.shown, hint=hint),))
    return Migration(file, function, has_cursor=len(names) == 2)
