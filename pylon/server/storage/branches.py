"""Branches of a project's database: each a file of its own, copied while the app runs.

A branch has its name only once it is whole: it is made under another name, synced and renamed, and
loses its name before it is removed. What a kill left of either goes at the next start. The bytes of
files are shared, by their hash: nothing that any branch knows is swept (`is_used_elsewhere`).

What does not live here: which one is in use (`place`), what differs between two (`branch_diff`),
who is making one (`making`).
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, limits_branches, paths
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidArgument, InvalidJson, PylonError, Unavailable
from pylon.schema.masking import NO_BYTES
from pylon.server.storage import backup
from pylon.server.storage.folder import DATABASE_NAME
from pylon.server.storage.lineage import meta
from pylon.server.storage.making import MAKING, claimed, making_folder, sweep_making
from pylon.server.storage.masked import Mask, mask_database
from pylon.server.storage.place import (
    BRANCHES,
    MAIN,
    BranchUnknown,
    Place,
    can_be_named,
    demand_name,
    place_in_use,
    place_of,
    write_synced,
)
from pylon.server.storage.restore import begin_anew
from pylon.sqlite import Error, RawConnection, open_alone, read_alone

#: Of a branch that was made before something that can't be taken back.
AUTOMATIC: Final = "before-"
_ABOUT: Final = "about.json"
#: Begins the names of those that are being removed.
_GOING: Final = ".gone-"
#: What a copy does not do over again: the database that it was copied from does it.
_HELD: Final = "it was waiting when this branch was made, and runs where that was copied from"
_HOLD: Final = {
    "_pylon_jobs": "UPDATE _pylon_jobs SET state = 'cancelled', ended_at = :now, error = :why,"
    " lease_until = NULL WHERE state IN ('scheduled', 'available', 'running')",
    "_pylon_workflows": "UPDATE _pylon_workflows SET state = 'cancelled', ended_at = :now,"
    " wake_at = NULL WHERE state IN ('running', 'parked', 'diverged')",
}
Progress = Callable[[int, int], None]


class BranchRefused(PylonError):
    """That can't be done with this branch."""

    code = "BRANCH_REFUSED"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Branch:
    """One database of a project, as lists show it."""

    name: str
    is_current: bool
    bytes: int
    #: Where it was copied from, when (Unix ms) and at which seq; None of main.
    of: str | None = None
    made_ms: int | None = None
    head: int | None = None
    #: What it was made before; empty where somebody asked for it.
    why: str = ""
    #: It holds nothing that somebody wrote.
    is_masked: bool = False
    #: It is no copy: it began empty, and seed.py filled it.
    is_seeded: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        kind = "masked" if self.is_masked else "seeded" if self.is_seeded else ""
        return {
            "name": self.name, "is_current": self.is_current, "bytes": self.bytes, "of": self.of,
            "made_at": None if self.made_ms is None else iso_ms(self.made_ms),
            "made_head": self.head, "why": self.why or kind, "is_masked": self.is_masked,
            "is_seeded": self.is_seeded,
        }  # fmt: skip


def list_branches(data: Path) -> list[Branch]:
    """Return main, then the others, the newest first."""
    current = place_in_use(data).branch
    found = [_described(place_of(data, name), current) for name in _names(data)]
    found.sort(key=lambda one: (-(one.made_ms or 0), one.name))
    return [_described(Place(data, MAIN), current), *found]


def find(data: Path, name: str) -> Place:
    """Return where a branch lies; raises BranchUnknown where there is none of that name."""
    place = place_of(data, name)
    if place.branch != MAIN and not place.folder.is_dir():
        known = ", ".join([MAIN, *_names(data)])
        raise BranchUnknown(f"there is no branch {name}", hint=f"there are: {known}")
    return place


def _names(data: Path) -> list[str]:
    folder = data / BRANCHES
    if not folder.is_dir():
        return []
    # What else lies there, such as a desktop's notes, is none: it has no name to ask for it by.
    return sorted(one.name for one in folder.iterdir() if can_be_named(one.name) and one.is_dir())


def _described(place: Place, current: str) -> Branch:
    about: Any = {}
    with suppress(OSError, InvalidJson):
        about = jsonvalue.parse((place.folder / _ABOUT).read_bytes())
    about = about if isinstance(about, dict) else {}  # damaged: the copy itself counts
    of, made_ms, head = about.get("of"), about.get("made_ms"), about.get("head")
    return Branch(
        place.branch, place.branch == current, needed_bytes(place),
        of if isinstance(of, str) else None, made_ms if isinstance(made_ms, int) else None,
        head if isinstance(head, int) else None, str(about.get("why", "")),
        about.get("is_masked") is True, about.get("is_seeded") is True,
    )  # fmt: skip


def needed_bytes(place: Place) -> int:
    """Return what a database takes on the disk, its journal too, and so a copy at most."""
    journal = place.path.with_name(f"{DATABASE_NAME}-wal")
    return sum(one.stat().st_size for one in (place.path, journal) if one.is_file())


def demand_room(folder: Path, need: int, what: str) -> None:
    """Raise Unavailable where the disk has no room, before anything is written."""
    free = shutil.disk_usage(folder).free
    need += limits_branches.BRANCH_ROOM_BYTES
    if free < need:
        raise Unavailable(
            f"the disk is too full for {what}: it needs {need} bytes, and {free} are free",
            hint="make room, or drop a branch: pylon branch list",
            reason="disk_full", need=need, free=free,
        )  # fmt: skip


async def create(
    source: Place, name: str, clock: Clock, *, why: str = "", progress: Progress | None = None,
    mask: Mask | None = None,
) -> Branch:  # fmt: skip
    """Copy a database, in use or not, into a new branch.

    Whoever writes the source goes on meanwhile. Sessions do not come along, and what waits (jobs,
    mails among them, and workflow runs) is held: it runs where it was, not twice. A mask has
    pseudonyms put in the place of what people wrote, before the branch has its name.

    Raises InvalidArgument, BranchRefused where there is one of that name, Unavailable (disk_full),
    DatabaseUnusable, BackupFailed. Nothing is left behind by a failure.
    """
    target = _demand_free(source.data, name)
    branches = target.folder.parent
    demand_room(branches, needed_bytes(source), f"the branch {name}")
    with _made(target) as making:
        copied = [0, 0]

        def told(done: int, total: int) -> None:
            copied[:] = done, total
            if progress is not None:
                progress(done, total)

        copy, held = await backup.make_copy(source.path, making, is_live=True, progress=told)
        now_ms = clock.machine_ms()
        open_alone(copy, lambda raw: _detach(raw, now_ms))
        if mask is not None:
            # Every row is written anew, by Python: beside what the runtime does meanwhile.
            tick = partial(progress, *copied) if progress is not None else lambda: None
            mask_it = partial(mask_database, mask=mask, now_ms=now_ms, tick=tick)
            await asyncio.to_thread(open_alone, copy, mask_it)
            _have_no_bytes(source.data)
        copy.replace(making / DATABASE_NAME)
        about = {
            "of": source.branch, "made_ms": now_ms, "head": held.head, "why": why,
            "is_masked": mask is not None,
        }  # fmt: skip
        write_synced(making / _ABOUT, jsonvalue.encode(about))
        making.rename(target.folder)
        paths.sync_folder(branches)
    return _described(target, place_in_use(source.data).branch)


def _demand_free(data: Path, name: str) -> Place:
    """Return where a new branch is to lie; raises BranchRefused."""
    target = place_of(data, name)
    if target.branch == MAIN or target.folder.exists():
        raise BranchRefused(
            f"there is a branch {name} already", hint="choose another name, or drop that one first"
        )
    if len(_names(data)) >= limits_branches.BRANCHES_MAX:
        raise BranchRefused(
            f"there are {limits_branches.BRANCHES_MAX} branches",
            hint="drop one first: pylon branch list",
        )
    target.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return target


@contextmanager
def _made(target: Place) -> Iterator[Path]:
    """Give the folder that a branch is made in, which goes where that fails.

    Raises BranchRefused where another process is making it.
    """
    branches = target.folder.parent
    with claimed(branches, target.branch) as is_mine:
        if not is_mine:
            raise BranchRefused(
                f"{target.branch} is being made already", hint="wait for it, or choose another name"
            )
        _demand_free(target.data, target.branch)  # whoever made it may have come to its end
        making = making_folder(branches, target.branch)
        shutil.rmtree(making, ignore_errors=True)  # whoever began it was killed
        making.mkdir(mode=0o700)
        try:
            yield making
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise


async def create_by(
    data: Path, name: str, clock: Clock, make: Callable[[Path], Awaitable[int]]
) -> Branch:
    """Make a branch of the database that `make` leaves in the folder it is given.

    `make` returns the head of that database, which is closed then. Nothing else of the folder
    stays, and nothing at all where it fails. Raises InvalidArgument, BranchRefused.
    """
    target = _demand_free(data, name)
    with _made(target) as making:
        head = await make(making)
        for one in making.iterdir():
            if one.name != DATABASE_NAME:
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        about = {"of": None, "made_ms": clock.machine_ms(), "head": head, "is_seeded": True}
        write_synced(making / _ABOUT, jsonvalue.encode(about))
        making.rename(target.folder)
        paths.sync_folder(target.folder.parent)
    return _described(target, place_in_use(data).branch)


def _have_no_bytes(data: Path) -> None:
    """Have the bytes of the files of a masked branch be there, of which there are none."""
    blobs = data / "files" / "blobs"
    if blobs.is_dir():
        folder = blobs / NO_BYTES[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / NO_BYTES).touch(mode=0o600)


def _detach(raw: RawConnection, now_ms: int) -> None:
    begin_anew(raw)
    raw.execute("BEGIN IMMEDIATE")
    names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master").fetchall()}
    for table, statement in _HOLD.items():
        if table in names:  # a file of an older release lacks some
            raw.execute(statement, {"now": now_ms, "why": _HELD})
    raw.execute("COMMIT")


def drop(data: Path, name: str) -> None:
    """Remove a branch that is not in use.

    Raises InvalidArgument, BranchUnknown, BranchRefused for main and for the one in use.
    """
    place = find(data, name)
    if place.branch == MAIN:
        raise BranchRefused("main can't be dropped", hint="pylon reset begins it anew")
    if place.branch == place_in_use(data).branch:
        raise BranchRefused(
            f"{name} is in use", hint="switch to another one first: pylon branch switch main"
        )
    _remove(place)


def _remove(place: Place) -> None:
    witness = _witness_of(place)
    gone = place.folder.with_name(f"{_GOING}{place.branch}")
    shutil.rmtree(gone, ignore_errors=True)
    place.folder.rename(gone)
    paths.sync_folder(gone.parent)
    shutil.rmtree(gone, ignore_errors=True)  # what stays is removed by the next start
    if witness is not None:
        witness.unlink(missing_ok=True)


def _witness_of(place: Place) -> Path | None:
    with suppress(Error), closing(read_alone(place.path)) as raw:
        database_id = meta(raw, "database_id")
        if database_id is not None and database_id.isalnum():
            return paths.witness_dir() / f"{database_id}.json"
    return None


def sweep(data: Path) -> None:
    """Remove what a kill left of branches being made or dropped; the caller owns the folder."""
    folder = data / BRANCHES
    if folder.is_dir():
        sweep_making(folder)
        for one in folder.glob(f"{_GOING}*"):
            shutil.rmtree(one, ignore_errors=True)


async def keep_before(source: Place, what: str, clock: Clock) -> Branch:
    """Make the branch that is the way back from something that loses data, and drop old ones.

    Args:
        source: the database as it is before.
        what: names it: `migration`, or a data migration.
        clock: tells the time, which is part of the name.
    """
    stamp = iso_ms(clock.machine_ms())[:19].replace("-", "").replace(":", "").replace("T", "-")
    plain = re.sub(r"[^a-z0-9_]+", "-", what.lower())
    first = f"{AUTOMATIC}{plain}"[:28].rstrip("-_") + f"-{stamp}"
    taken = set(_names(source.data))
    # Within one second more than one may be made.
    tries = (first if n == 1 else f"{first}-{n}" for n in count(1))
    name = next(one for one in tries if one not in taken)
    made = await create(source, name, clock, why=f"before {what}")
    in_use = place_in_use(source.data).branch
    older = [one for one in list_branches(source.data) if one.why and one.name != in_use]
    for one in older[limits_branches.BRANCHES_AUTOMATIC_MAX :]:
        _remove(place_of(source.data, one.name))
    return made


def others(place: Place) -> Iterator[Place]:
    """Yield every database of the project but one."""
    for name in (MAIN, *_names(place.data)):
        if name != place.branch:
            yield place_of(place.data, name)


def is_used_elsewhere(place: Place, sha256: str) -> bool:
    """Tell whether another branch, finished or not, has a file with these bytes.

    One that can't be asked counts as one that has: bytes that are gone do not come back.
    """
    folder = place.data / BRANCHES
    if not folder.is_dir():
        return False
    if any(folder.glob(f"{MAKING}*")):
        return True  # it was begun while the bytes were there
    for one in others(place):
        if not one.path.is_file():
            continue
        try:
            with closing(read_alone(one.path)) as raw:
                found = raw.execute(
                    "SELECT 1 FROM _pylon_files WHERE sha256 = ?", (sha256,)
                ).fetchone()
        except Error as error:
            if "no such table" in str(error):
                continue  # a file of a release without files
            return True
        if found is not None:
            return True
    return False


def demand_switchable(data: Path, name: str) -> Place:
    """Return where a branch lies that may be switched to; raises as `find`, and BranchRefused."""
    place = find(data, name)
    if place.branch == place_in_use(data).branch:
        raise BranchRefused(f"{name} is in use already")
    return place


def demand_new_name(name: object) -> str:
    """Return the name of a branch that somebody asks for; raises InvalidArgument."""
    name = demand_name(name)
    if name.startswith(AUTOMATIC):
        raise InvalidArgument(
            f"names that begin with {AUTOMATIC} are for branches that Pylon makes", field="name"
        )
    return name
