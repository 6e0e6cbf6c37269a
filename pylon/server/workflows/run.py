"""Drives one run from where its journal stands until it is parked or over.

It holds the coroutine only meanwhile. Every effect is a transaction of `steps`; whoever else
drives the same run at the same time does no harm, because both go on with what was recorded first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import Function, FunctionKind
from pylon.errors import (
    InvalidArgument,
    PylonError,
    RunEnded,
    WorkflowDiverged,
    WorkflowMisuse,
    WorkflowTooLong,
)
from pylon.server.calls import inside
from pylon.server.functions.builtin import BUILTINS
from pylon.server.functions.failures import AppFailed
from pylon.server.storage import journal, workflows
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.units import FunctionWork
from pylon.server.storage.workflow_records import RunState, StepKind, StepRecord, StoredRun
from pylon.server.workflows.actions import Action
from pylon.server.workflows.commands import Command
from pylon.server.workflows.context import WorkflowContext
from pylon.server.workflows.failures import failure_text, path_of, shown
from pylon.server.workflows.replay import Ending, Replay
from pylon.server.workflows.steps import (
    Answer,
    MutationStep,
    Turn,
    demand_running,
    demand_size,
    identity_of,
)
from pylon.server.workflows.tools import Tools, cause_of

_log = logging.getLogger("pylon.workflows")
#: How long the code of one run holds the loop before others get a turn.
_HOLD_SECONDS: Final = 0.002


class Drive:
    """One run under way."""

    def __init__(self, tools: Tools, n: int, run_id: str, name: str) -> None:
        self._tools = tools
        self.n = n
        self.id = run_id
        self.name = name
        #: Something may have come: a signal, the end of a child, a timer, a reload.
        self.wake = asyncio.Event()
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._is_held = True
        self._run: StoredRun
        self._function: Function
        self._definition: AppDefinition
        self._replay: Replay | None = None
        #: Mutations that are to be run.
        self._todo: dict[str, Command] = {}
        self._failure: str | None = None

    # --- its life

    async def drive(self) -> None:
        """Drive the run until it is parked or over."""
        observer = self._tools.observer
        call = observer.begin(self.name, "workflow", None, f"workflow:{self.name}#{self.id}")
        outcome = "cancelled"
        try:
            with inside(call):
                while not await self._drive_generation():
                    self._drop()
            outcome = "done"
        except RunEnded:
            pass
        finally:
            if self._failure is not None:
                code = self._failure.partition(":")[0]
                observer.end(call, "failed", code, self._failure)
            else:
                observer.end(call, outcome)
            self._is_held = False
            self._drop()
            for task in self._acting.values():
                task.cancel()

    def _drop(self) -> None:
        if self._replay is not None:
            self._replay.discard()
            self._replay = None
        self._todo.clear()

    async def _drive_generation(self) -> bool:
        """Drive it with the code as it is now; False once there is newer code."""
        replay = await self._open()
        if replay is None:
            return True
        while True:
            self.wake.clear()
            try:
                await self._advance(replay)
            except WorkflowDiverged as error:
                await self._diverge(error)
                return True
            except WorkflowMisuse as error:
                await self._finish(Ending(error=error))
                return True
            if replay.outcome is not None:
                if await self._finish(replay.outcome, replay):
                    return True
                continue
            try:
                is_parked = await self._turn(replay)
            except WorkflowTooLong as error:
                await self._finish(Ending(error=error))
                return True
            if is_parked:
                return True
            if self._tools.definitions.current is not self._definition:
                return False

    # --- the code

    async def _open(self) -> Replay | None:
        """Return the execution of a run from its beginning; None where it can't be."""
        tools = self._tools
        definition = self._definition = tools.definitions.current
        raw = tools.database.readers.inline.raw
        run = workflows.by_n(raw, self.n)
        if run is None or run.state != RunState.RUNNING:
            return None
        self._run = run
        function = definition.functions.get(run.name)
        if function is None or function.kind is not FunctionKind.WORKFLOW:
            missing = WorkflowDiverged(
                f"there is no workflow {run.name} in this version of the app"
            )
            await self._diverge(missing)
            return None
        self._function = function
        try:
            args = function.arguments.decode(jsonvalue.decode_trusted(run.args))
        except InvalidArgument as error:
            await self._diverge(
                WorkflowDiverged(f"its arguments do not fit any more: {error.message}")
            )
            return None
        code, seconds = tools.executor.app_code, limits.FUNCTION_SECONDS
        replay = self._replay = Replay(
            journal.read(raw, self.n), run.began_at,
            lambda piece: code.run(function, piece, seconds),
        )  # fmt: skip
        context = WorkflowContext(run, definition, replay)
        replay.begin(function.handler(context, **args))
        return replay

    async def _advance(self, replay: Replay) -> None:
        clock = self._tools.clock
        since = clock.monotonic()
        while replay.advance():
            if clock.monotonic() - since > _HOLD_SECONDS:
                await asyncio.sleep(0)
                since = clock.monotonic()

    # --- turns

    async def _turn(self, replay: Replay) -> bool:
        """Carry out what the code waits for, as far as that goes; True once it is parked."""
        others = []
        for command in replay.fresh:
            assert command.path is not None
            if self._is_mutation(command):
                self._todo[command.path] = command
            else:
                others.append(command)
        versions = replay.fresh_versions
        replay.fresh, replay.fresh_versions = [], []
        todo, self._todo = self._todo, {}
        works = [self._mutation(replay, one) for one in todo.values()]
        turn = None
        if others or versions or not works:
            turn = Turn(
                n=self.n, seq=replay.seq, commands=others, versions=versions,
                acting=set(self._acting), has_more=bool(works), new_id=self._tools.ids.uuid7,
            )  # fmt: skip
        begun = [self._tools.submit(one) for one in works]
        if turn is not None:
            begun.insert(0, self._tools.submit(FunctionWork(turn.run, None)))
        found = await asyncio.gather(*begun, return_exceptions=True)
        answer = found.pop(0) if turn is not None else None
        if isinstance(answer, BaseException):
            raise answer
        news = [] if answer is None else list(answer.records)
        for work, one in zip(works, found, strict=True):
            self._trace(work, one)
            news += _records_of(work, one)
        is_new = _feed(replay, news)
        if answer is not None:
            self._take(replay, answer, {one.path for one in others}, todo)
            if answer.is_parked:
                return True
        if not is_new and not self._todo and turn is not None:
            await self.wake.wait()
        return False

    def _take(
        self, replay: Replay, answer: Answer, fresh: set[str | None], done: Mapping[str, Command]
    ) -> None:
        """Start what is to be run of the lines that have not ended, but for what just was."""
        for row in answer.pending:
            if row.kind != StepKind.STEP or row.due_at is not None:
                continue
            if row.path in self._acting or row.path in done:
                continue
            command = replay.issued.get(row.path)
            if command is None:
                continue
            if self._is_mutation(command):
                self._todo[row.path] = command
            else:
                self._act(command, is_fresh=row.path in fresh)

    def _is_mutation(self, command: Command) -> bool:
        if command.kind is not StepKind.STEP:
            return False
        function = self._definition.functions.get(command.fn or "")
        return command.fn in BUILTINS or (
            function is not None and function.kind is FunctionKind.MUTATION
        )

    def _mutation(self, replay: Replay, command: Command) -> MutationStep:
        operation = self._tools.executor.prepare_inside(
            self._definition, identity_of(self._run), command.fn or "", command.args,
            cause_of(self._run, command),
        )  # fmt: skip
        user = self._run.user_id or self._run.principal
        operation.call = self._tools.observer.begin(
            command.fn or "", FunctionKind.MUTATION.value, user, cause_of(self._run, command)
        )
        return MutationStep(self.n, replay.seq, command, operation, self._tools.chance())

    def _trace(self, work: MutationStep, found: Any) -> None:
        if work.call is None:
            return
        if isinstance(found, PylonError):
            self._tools.observer.end(work.call, "rejected", found.code, found.message)
        else:
            self._tools.observer.end(work.call)

    def _act(self, command: Command, *, is_fresh: bool) -> None:
        assert command.path is not None
        action = Action(self._tools, self._run, self._definition, command, lambda: self._is_held)
        self._acting[command.path] = asyncio.get_running_loop().create_task(
            self._run_action(action, command.path, is_fresh=is_fresh),
            name=f"pylon-step-{command.name}",
        )

    async def _run_action(self, action: Action, path: str, *, is_fresh: bool) -> None:
        try:
            await action.run(is_fresh=is_fresh)
        except RunEnded:
            pass
        except WorkflowTooLong as error:
            await self._finish(Ending(error=error))
        finally:
            self._acting.pop(path, None)
            self.wake.set()

    # --- its end

    async def _finish(self, ending: Ending, replay: Replay | None = None) -> bool:
        """End the run as its code did; False where more was recorded meanwhile."""
        result, error = self._result(ending)
        text = None if error is None else failure_text(error, step=path_of(error))

        def end(transaction: Transaction) -> list[StepRecord] | None:
            demand_running(transaction, self.n)
            if replay is not None:
                news = journal.since(transaction, self.n, replay.seq)
                if news:
                    return news
            if error is None:
                workflows.finish(transaction, self.n, RunState.COMPLETED, result=result)
                return None
            workflows.finish(
                transaction, self.n, RunState.FAILED, error=text,
                traceback=error.traceback_text if isinstance(error, AppFailed) else None,
            )  # fmt: skip
            return None

        news = await self._tools.do(end)
        if news and replay is not None:
            _feed(replay, news)
            return False
        self._tell(text)
        return True

    def _result(self, ending: Ending) -> tuple[str | None, PylonError | None]:
        """Return the run's result as JSON, or why it failed."""
        code, name, error = self._tools.executor.app_code, self._run.name, ending.error
        try:
            if error is None:
                seconds = limits.FUNCTION_SECONDS
                result = code.answer(self._function, lambda: ending.value, seconds)
                demand_size(result, "a workflow's result")
                return result, None
            if isinstance(error, PylonError):
                code.check_refusal(name, error)
                return None, error
            return None, code.internal(name, error)
        except PylonError as wrong:
            return None, wrong

    def _tell(self, error: str | None) -> None:
        run, said = self._run, shown(error)
        self._failure = said
        if said is not None:
            _log.error("workflow.failed %s %s: %s", run.name, run.id, said)

    async def _diverge(self, error: WorkflowDiverged) -> None:
        text = failure_text(error)

        def stop(transaction: Transaction) -> None:
            demand_running(transaction, self.n)
            workflows.diverge(transaction, self.n, text)

        await self._tools.do(stop)
        _log.error("workflow.diverged %s %s: %s", self._run.name, self._run.id, error.message)


def _records_of(work: MutationStep, found: Any) -> list[StepRecord]:
    """Return what has ended by a mutation, done or refused; raises what ends the run."""
    if not isinstance(found, BaseException):
        records: list[StepRecord] = found
        return records
    if isinstance(found, RunEnded | WorkflowTooLong) or not isinstance(found, PylonError):
        raise found
    return work.records or []


def _feed(replay: Replay, news: list[StepRecord]) -> bool:
    """Hand records to the code, each once and in order; tells whether there were any."""
    unique = {one.seq: one for one in news if one.seq is not None and one.seq > replay.seq}
    replay.feed(unique[seq] for seq in sorted(unique))
    return bool(unique)
