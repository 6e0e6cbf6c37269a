"""What driving a run takes: the runtime's parts, and how a transaction of a run is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pylon.clock import Clock
from pylon.errors import RunEnded, Unavailable
from pylon.ids import IdSource
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.functions.executor import Executor
from pylon.server.observe import Observer
from pylon.server.storage.batch import Work
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.units import FunctionWork
from pylon.server.storage.workflow_records import StoredRun
from pylon.server.workflows.commands import Command
from pylon.server.workflows.steps import MutationStep

_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What driving takes; one per runtime."""

    database: Database
    definitions: DefinitionHolder
    executor: Executor
    clock: Clock
    ids: IdSource
    observer: Observer

    def chance(self) -> float:
        """Return a number from 0 to 1."""
        return int.from_bytes(self.ids.random_bytes(4)) / 2**32

    async def submit(self, work: Work) -> Any:
        """Have a transaction stored; again and again while nothing can be written.

        Raises RunEnded where the runtime stops, and what the work raises.
        """
        while True:
            try:
                apart = work.apart if isinstance(work, MutationStep) else None
                return (await self.database.writer.submit_work(work, apart=apart)).value
            except Unavailable as error:
                if error.is_stop:
                    raise RunEnded() from error
                await self.clock.sleep(_AGAIN_SECONDS)

    async def do(self, work: Callable[[Transaction], Any]) -> Any:
        """Have a function stored as a transaction, likewise."""
        return await self.submit(FunctionWork(work, None))


def cause_of(run: StoredRun, command: Command) -> str:
    """Return what the log says of what a step writes."""
    return f"workflow:{run.name}#{run.id}:{command.name}"
