"""Branches of a running runtime: made beside its work, switched to, compared, dropped.

A switch writes down which database is in use and then has the runtime stop and begin again in the
same process, on the same port: nothing of before lives on, and every client is told that the epoch
is another. What does not live here: the files (`storage.branches`), and the lives of the process
(`server.__main__`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pylon.clock import Clock
from pylon.errors import PylonError, Unavailable
from pylon.ids import IdSource
from pylon.schema.model import Schema
from pylon.server.storage import branch_diff, branches
from pylon.server.storage.backup import opened
from pylon.server.storage.branches import BranchRefused
from pylon.server.storage.database import Database
from pylon.server.storage.masked import Mask
from pylon.server.storage.migration_plan import MigrationPlan, make_plan, stored_schema
from pylon.server.storage.place import Place, demand_name, use_place
from pylon.sqlite import RawConnection

#: A branch that takes longer to make is answered before it is there.
_WAIT_SECONDS: Final = 15.0


@dataclass(slots=True)
class Making:
    """A branch on its way: pages copied, of how many."""

    name: str
    done: int = 0
    total: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it for the wire."""
        phase = "checking" if self.total and self.done >= self.total else "copying"
        return {"name": self.name, "phase": phase, "done": self.done, "total": self.total}


class Branching:
    """The branches of one runtime's project."""

    def __init__(
        self, database: Database, schema: Callable[[], Schema], clock: Clock, ids: IdSource,
        begin_again: Callable[[str], None], *, is_dev: bool,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            database: the one in use.
            schema: returns the app's.
            clock: tells the time.
            ids: mint the tokens of switches.
            begin_again: has the runtime stop, and start on what is in use then.
            is_dev: else a switch wants consent.
        """
        self._database = database
        self._schema = schema
        self._clock = clock
        self._ids = ids
        self._begin_again = begin_again
        self._is_dev = is_dev
        self._turn = asyncio.Lock()
        self.making: Making | None = None
        #: What kept the last one from being made; None where it is there.
        self._failure: PylonError | None = None
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._is_stopping = False
        #: Branches that are open for writing beside the one in use.
        self._open: set[str] = set()

    @property
    def current(self) -> str:
        """Return the name of the branch in use."""
        return self._database.place.branch

    async def list(self) -> dict[str, Any]:
        """Return {"current", "branches", "making", "failure"}."""
        found = await asyncio.to_thread(branches.list_branches, self._database.folder)
        return {
            "current": self.current, "branches": [one.to_json() for one in found],
            "making": None if self.making is None else self.making.to_json(),
            "failure": None if self._failure is None else self._failure.to_wire(),
        }  # fmt: skip

    async def create(
        self, name: object, of: object = None, mask: Mask | None = None
    ) -> dict[str, Any]:
        """Copy a branch, by default the one in use, while it is written to; a mask masks it.

        Returns the branch, or {"making"} where it takes long: `list` says how far it is, and what
        became of it. Raises as `storage.branches.create`, Unavailable while another one is made.
        """
        name = branches.demand_new_name(name)
        source = self._place(of)
        if self._task is not None:
            raise Unavailable("a branch is being made at this moment", reason="busy")
        self.making, self._failure = Making(name), None
        self._task = task = asyncio.ensure_future(self._make(source, self.making, mask))
        await asyncio.wait((task,), timeout=_WAIT_SECONDS)
        return task.result() if task.done() else {"making": self.making.to_json()}

    async def _make(self, source: Place, making: Making, mask: Mask | None) -> dict[str, Any]:
        def told(done: int, total: int) -> None:
            if self._is_stopping:  # raised through SQLite, which ends the copy
                raise Unavailable("the runtime is stopping", reason="stopping")
            making.done, making.total = done, total

        try:
            async with self._turn:
                made = await branches.create(
                    source, making.name, self._clock, progress=told, mask=mask
                )
            return made.to_json()
        except PylonError as error:
            self._failure = error
            raise
        finally:
            self.making = self._task = None

    async def stop(self) -> None:
        """End the making of a branch, if there is one."""
        self._is_stopping = True
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def switch(self, name: object, *, consent: bool = False) -> dict[str, Any]:
        """Have the runtime go on with another branch, under a new epoch.

        Raises BranchUnknown, BranchRefused where it is in use, is written to, does not fit the app,
        or where production was not told that it is meant.
        """
        name = demand_name(name)
        async with self._turn:
            place = branches.demand_switchable(self._database.folder, name)
            if not self._is_dev and not consent:
                raise BranchRefused(
                    "this is production: everybody would see other data at once",
                    hint="pylon branch switch NAME --consent says that you mean it",
                )
            self._demand_closed(name)
            await self._demand_fit(place)
            await asyncio.to_thread(use_place, self._database.folder, name, self._ids.token_hex(16))
            self._begin_again(name)
        return {"branch": name, "before": self.current}

    async def _demand_fit(self, place: Place) -> None:
        """Raise BranchRefused, DatabaseUnusable where the app could not start on a branch."""
        if not place.path.is_file():
            return

        def look(raw: RawConnection) -> MigrationPlan:
            (found,) = raw.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise BranchRefused(f"the file of {place.branch} is damaged: {found}")
            return make_plan(raw, self._schema())

        async with opened(place.path, is_live=True) as reader:
            plan = await reader.run(look)
        if plan.blockers or plan.needs_consent or not (self._is_dev or plan.is_empty):
            raise BranchRefused(
                f"the app's schema is not that of {place.branch}:\n{plan.render()}",
                hint="put app.py back to what it was when the branch was made, then switch",
                plan=plan.render(),
            )

    async def drop(self, name: object, confirm: object) -> dict[str, Any]:
        """Remove a branch; `confirm` is its name once more."""
        name = demand_name(name)
        if confirm != name:
            raise BranchRefused(
                f"dropping {name} takes its data away", hint="confirm it with the branch's name"
            )
        async with self._turn:
            self._demand_closed(name)
            await asyncio.to_thread(branches.drop, self._database.folder, name)
        return {"dropped": name}

    async def diff(self, old: object, new: object) -> dict[str, Any]:
        """Compare two branches, by default with the one in use: counts by entity."""
        places = self._place(old), self._place(new)
        found = await branch_diff.compare(*places, self._clock.monotonic)
        return {"old": places[0].branch, "new": places[1].branch, "entities": found}

    async def diff_rows(
        self, old: object, new: object, entity: str, *, after: str, limit: int
    ) -> dict[str, Any]:
        """Return a page of the rows of one entity that differ."""
        places = self._place(old), self._place(new)
        page = await branch_diff.compare_rows(
            *places, entity, after=after, limit=limit, clock=self._clock.monotonic
        )
        return {"old": places[0].branch, "new": places[1].branch, **page}

    @asynccontextmanager
    async def opened(self, name: str) -> AsyncIterator[Database]:
        """Open a branch that is not in use, for ordinary writes through its own log.

        No function, job or mail of the app runs there. Meanwhile it can be neither switched to nor
        dropped. Raises BranchUnknown, BranchRefused for the one in use.
        """
        place = branches.demand_switchable(self._database.folder, demand_name(name))
        self._demand_closed(name)
        self._open.add(name)
        try:
            database = await Database.open(
                self._database.folder, clock=self._clock, ids=self._ids, beside=place
            )
            try:
                database.use_schema(await database.run_on_writer(stored_schema))
                yield database
            finally:
                await database.close()
        finally:
            self._open.discard(name)

    def _place(self, name: object) -> Place:
        if name is None or name == "":
            return self._database.place
        return branches.find(self._database.folder, demand_name(name))

    def _demand_closed(self, name: str) -> None:
        if name in self._open:
            raise Unavailable(f"{name} is being written to at this moment", reason="busy")
