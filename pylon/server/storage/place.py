"""Which database of a project is in use: the pointer `.pylon/branch.json`, and where each lies.

The first one is `main`, in `.pylon/app.db`; a branch is `.pylon/branches/NAME/app.db`. The pointer
is replaced whole and synced, so that whatever is killed leaves one database in use or the other.
Each switch gives it another token: a database that finds a token it does not know begins another
epoch (`lineage`), also when it is the one that was in use before.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard

from pylon import jsonvalue, paths
from pylon.errors import InvalidArgument, InvalidJson, PylonError
from pylon.server.storage.folder import DATABASE_NAME

MAIN: Final = "main"
BRANCHES: Final = "branches"
_POINTER: Final = "branch.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}\Z", re.ASCII)


class BranchUnknown(PylonError):
    """There is no branch of that name."""

    code = "BRANCH_UNKNOWN"
    http_status = 404


@dataclass(frozen=True, slots=True)
class Place:
    """One database of a project."""

    #: The project's `.pylon`.
    data: Path
    branch: str
    #: Of the switch that led here; empty where there never was one.
    switch: str = ""
    #: The branch that was in use before that switch.
    before: str = ""

    @property
    def folder(self) -> Path:
        """Return the folder of the database file."""
        return self.data if self.branch == MAIN else self.data / BRANCHES / self.branch

    @property
    def path(self) -> Path:
        """Return the database file."""
        return self.folder / DATABASE_NAME


def can_be_named(name: object) -> TypeGuard[str]:
    """Tell whether a branch can have that name."""
    return isinstance(name, str) and _NAME.match(name) is not None


def demand_name(name: object) -> str:
    """Return the name of a branch; raises InvalidArgument for what can't be one.

    The same file must not be meant by two names where a file system folds capitals.
    """
    if not can_be_named(name):
        raise InvalidArgument(
            "a branch's name is 1-48 of a-z, 0-9, _ and -, and begins with a letter or digit",
            field="name",
        )
    return name


def place_of(data: Path, branch: str) -> Place:
    """Return where a branch lies, whether it is there or not; raises InvalidArgument."""
    return Place(data, demand_name(branch))


def place_in_use(data: Path) -> Place:
    """Return the database that a project's runtime opens.

    Raises BranchUnknown where the pointer names one that is gone, or says nothing that can be read:
    another database must not be taken for it.
    """
    pointer = data / _POINTER
    try:
        stored = jsonvalue.parse(pointer.read_bytes())
        place = Place(
            data, demand_name(stored["branch"]), str(stored["switch"]), str(stored["before"])
        )
    except FileNotFoundError:
        return Place(data, MAIN)
    except (InvalidJson, InvalidArgument, KeyError, TypeError) as error:
        raise BranchUnknown(
            f"{pointer} does not name a branch",
            hint="remove that file to go back to main, then start again",
        ) from error
    if not place.folder.is_dir() and place.branch != MAIN:
        raise BranchUnknown(
            f"the branch in use, {place.branch}, is gone: there is no {place.folder}",
            hint=f"remove {pointer} to go back to main, then start again",
        )
    return place


def use_place(data: Path, branch: str, token: str, *, before: str | None = None) -> Place:
    """Have the next start open a branch: the old one or this one, whenever the power goes.

    Args:
        data: the project's `.pylon`.
        branch: its name.
        token: of this switch; no other one has it.
        before: whose sessions go along; None: those of the branch in use.
    """
    before = place_in_use(data).branch if before is None else before
    place = Place(data, demand_name(branch), token, before)
    text = {"branch": place.branch, "switch": token, "before": place.before}
    write_synced(data / _POINTER, jsonvalue.encode(text))
    return place


def write_synced(path: Path, content: bytes) -> None:
    """Replace a file whole, on the disk when this returns, readable by its owner only."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    beside.replace(path)
    paths.sync_folder(path.parent)
