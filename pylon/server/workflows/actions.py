"""An action, or a query, as a step: run at least once, recorded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylon import limits
from pylon.app.definition import AppDefinition
from pylon.errors import RunEnded
from pylon.server.functions.authorize import identity_now
from pylon.server.functions.timed import within
from pylon.server.storage import journal
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.workflow_records import StoredRun
from pylon.server.workflows.commands import Command
from pylon.server.workflows.steps import (
    demand_running,
    demand_size,
    identity_of,
    store_failure,
)
from pylon.server.workflows.tools import Tools, cause_of


@dataclass(slots=True)
class Action:
    """One try of an action. `is_held` tells whether its run is still driven by whoever began it."""

    tools: Tools
    of: StoredRun
    definition: AppDefinition
    command: Command
    is_held: Callable[[], bool]
    is_over: bool = False

    async def run(self, *, is_fresh: bool) -> None:
        """Run it and have its outcome recorded; raises RunEnded where that is of no use."""
        n, path = self.of.n, self.command.path
        assert path is not None
        if not is_fresh:
            await self.tools.do(lambda transaction: journal.note_begun(transaction, n, path))
        await self.tools.do(await self._outcome())

    async def _outcome(self) -> Callable[[Transaction], None]:
        """Run it; returns what records its outcome."""
        n, command, chance = self.of.n, self.command, self.tools.chance()
        try:
            result = await self._call()
            demand_size(result, "a step's result")
        except RunEnded:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the step's failure
            failure = error

            def fail(transaction: Transaction) -> None:
                demand_running(transaction, n)
                store_failure(transaction, n, command, failure, chance)

            return fail

        def end(transaction: Transaction) -> None:
            demand_running(transaction, n)
            assert command.path is not None
            journal.end(transaction, n, command.path, result=result)

        return end

    async def _call(self) -> str:
        tools, fn, definition = self.tools, self.command.fn or "", self.definition
        identity = identity_now(
            identity_of(self.of), tools.database.readers.inline.rows, tools.clock.now_ms()
        )
        function = definition.functions.get(fn)
        declared = None if function is None else function.timeout_s
        seconds = self.command.options.timeout_s or declared or limits.STEP_SECONDS
        work = tools.executor.call_inside(
            definition, identity, fn, self.command.args, cause_of(self.of, self.command),
            self._demand,
        )  # fmt: skip
        try:
            outcome = await within(work, seconds, fn)
        finally:
            self.is_over = True
        return outcome.value or "null"

    def _demand(self) -> None:
        """Raise RunEnded once this try is over, or its run."""
        if self.is_over or not self.is_held():
            raise RunEnded()
