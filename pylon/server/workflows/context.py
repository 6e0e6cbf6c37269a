"""`ctx` of a workflow: what its code may ask for, and be told the same in every replay.

It reaches nothing by itself: data, other services and chance of the world are the business of
steps. What does not live here: how code is driven (`replay`), and how steps are run (`steps`).
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from pylon import jsonvalue, limits
from pylon.app.definition import AppDefinition
from pylon.app.functions import FunctionKind, to_json
from pylon.app.jobs import seconds_of
from pylon.errors import InvalidArgument, PayloadTooLarge, WorkflowMisuse
from pylon.policy.mistakes import nearest
from pylon.server.functions.builtin import BUILTINS
from pylon.server.storage.workflow_records import StepKind, StoredRun
from pylon.server.workflows.commands import Command, Gather, StepOptions
from pylon.server.workflows.replay import Replay

_Made = TypeVar("_Made", Command, Gather)
_NAME_MAX: Final = 200
_RETRIES_MAX: Final = 100
_DAY_SECONDS: Final = 86_400
_OPTIONS: Final = ("retries", "backoff", "timeout")
_STEPS: Final = (FunctionKind.MUTATION, FunctionKind.ACTION, FunctionKind.QUERY)
#: What other contexts have, and a workflow asks of its steps.
_ELSEWHERE: Final = (
    "db", "jobs", "mail", "http", "run", "workflows", "files", "rooms", "shards", "accounts",
    "as_system", "progress",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorkflowAuth:
    """`ctx.auth` of a workflow: who started it. Roles may change while it runs: steps see them."""

    user_id: str | None


class _Log(logging.LoggerAdapter[logging.Logger]):
    """The app's log, silent while the code repeats what it did before."""

    def __init__(self, logger: logging.Logger, replay: Replay) -> None:
        super().__init__(logger, None)
        self._replay = replay

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 -- logging's own name
        return not self._replay.is_replaying and super().isEnabledFor(level)


class WorkflowContext:
    """What the code of one run works with."""

    def __init__(self, run: StoredRun, definition: AppDefinition, replay: Replay) -> None:
        self._run = run
        self._definition = definition
        self._replay = replay
        self.run_id = run.id
        self.auth = WorkflowAuth(run.user_id)
        self.log = _Log(logging.getLogger(f"app.{definition.name}"), replay)

    # --- what is the same in every replay

    @property
    def now(self) -> dt.datetime:
        """Return the run's time, in UTC: that of the outcome that its code was handed last."""
        return dt.datetime.fromtimestamp(self._replay.now_ms / 1000, dt.UTC)

    @cached_property
    def random(self) -> random.Random:
        """Return the run's chance."""
        return random.Random(self._run.seed)  # noqa: S311 -- must be the same on a re-run

    def new_id(self) -> str:
        """Return an id for a new row."""
        value = self._replay.now_ms << 80 | 0x7 << 76 | self.random.getrandbits(12) << 64
        value |= 0b10 << 62 | self.random.getrandbits(62)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def version(self, name: str) -> bool:
        """Tell whether this run takes the new way of a change of the code, named by you.

        Runs that had passed this place before the change say no, all others yes.
        """
        return self._replay.version(_name_of(name, "a version"))

    # --- what is awaited

    def step(
        self, name: str, function: Any, /, *, retries: int = limits.STEP_RETRIES,
        backoff: Any = limits.STEP_BACKOFF_SECONDS, timeout: Any = None, **args: Any,
    ) -> Awaitable[Any]:  # fmt: skip
        """Run a mutation, an action or a query once; await its result.

        Args:
            name: what the journal calls it.
            function: a mutation (its effect and its record are one transaction), or an action or
                a query (run at least once, recorded once).
            retries: tries after the first.
            backoff: seconds, or a timedelta, before the first of them; doubles with each.
            timeout: of one try of an action; seconds or a timedelta.
            args: the function's arguments.

        Awaiting raises Refused as the function did, or StepFailed when its tries are used up.
        """
        fn = self._function_name(function)
        options = StepOptions(_retries(retries), _seconds(backoff, "backoff"), _timeout(timeout))
        return self._made(
            Command(
                owner=self._replay,
                kind=StepKind.STEP,
                name=_name_of(name, "a step"),
                place=self._place(),
                fn=fn,
                args=_plain(args),
                options=options,
            )
        )

    def sleep(self, seconds: Any) -> Awaitable[None]:
        """Wait for seconds, or a timedelta, over restarts too."""
        return self._made(
            Command(
                owner=self._replay,
                kind=StepKind.SLEEP,
                name="",
                place=self._place(),
                seconds=_seconds(seconds, "seconds"),
            )
        )

    def sleep_until(self, at: dt.datetime) -> Awaitable[None]:
        """Wait until a time."""
        if not _is_zoned(at):
            raise InvalidArgument("at is a datetime with a time zone", field="at")
        until_ms = int(at.timestamp() * 1000)
        _seconds((until_ms - self._replay.now_ms) / 1000 if until_ms > 0 else 0, "at", is_time=True)
        return self._made(
            Command(
                owner=self._replay,
                kind=StepKind.SLEEP,
                name="",
                place=self._place(),
                until_ms=max(until_ms, 0),
            )
        )

    def wait_for(self, event: str, timeout: Any = None) -> Awaitable[Any]:
        """Wait for a signal; await its data. Raises TimeoutError after `timeout` seconds."""
        return self._made(
            Command(
                owner=self._replay,
                kind=StepKind.WAIT,
                name=_name_of(event, "an event"),
                place=self._place(),
                seconds=None if timeout is None else _seconds(timeout, "timeout"),
            )
        )

    def child(self, workflow: Any, /, **args: Any) -> Awaitable[Any]:
        """Start another workflow and await its result; raises as a step does where it fails."""
        name = workflow if isinstance(workflow, str) else getattr(workflow, "__name__", "?")
        found = self._definition.functions.get(name)
        if found is None or found.kind is not FunctionKind.WORKFLOW:
            known = [
                one.name for one in self._definition.functions.values()
                if one.kind is FunctionKind.WORKFLOW
            ]  # fmt: skip
            raise WorkflowMisuse(f"{name} is no workflow", hint=nearest(name, known))
        plain = _plain(args)
        found.arguments.decode(plain)
        return self._made(
            Command(
                owner=self._replay,
                kind=StepKind.CHILD,
                name=name,
                place=self._place(),
                fn=name,
                args=plain,
            )
        )

    def gather(
        self, *branches: Awaitable[Any], return_exceptions: bool = False
    ) -> Awaitable[list[Any]]:
        """Await several steps, sleeps, waits, children or coroutines of yours at a time.

        All of them come to their end; then the values in the order of the branches, or the first
        failure in that order is raised.
        """
        for one in branches:
            if not isinstance(one, Awaitable):
                raise InvalidArgument("gather takes what can be awaited: ctx.step(…), or a call"
                                      " of a coroutine of yours")  # fmt: skip
        return self._made(Gather(self._replay, branches, return_exceptions, self._place()))

    def _made(self, one: _Made) -> _Made:
        self._replay.made(one)
        return one

    def _function_name(self, function: Any) -> str:
        """Return the name of what can be a step; raises WorkflowMisuse."""
        name = function if isinstance(function, str) else getattr(function, "__name__", "?")
        if name in BUILTINS:
            return name
        found = self._definition.functions.get(name)
        if found is None:
            known = [one.name for one in self._definition.functions.values() if one.kind in _STEPS]
            raise WorkflowMisuse(
                f"{name} is no function of the app: a step is a mutation, an action or a query",
                hint=nearest(name, known),
            )
        if found.kind is FunctionKind.WORKFLOW:
            raise WorkflowMisuse(f"{name} is a workflow", hint=f"await ctx.child({name}, …)")
        if found.kind is FunctionKind.JOB:
            raise WorkflowMisuse(f"{name} is a job", hint="have a mutation enqueue it")
        for one in found.arguments.arguments:
            if one.name in _OPTIONS:
                raise WorkflowMisuse(
                    f"{name} has an argument named {one.name}, which step() takes for itself",
                    hint="give it another name",
                )
        return name

    def _place(self) -> str:
        """Return file and line of the app's code that asks."""
        frame = sys._getframe(2)
        path = Path(frame.f_code.co_filename)
        root = self._definition.root
        name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        return f"{name.as_posix()}:{frame.f_lineno}"

    def __getattr__(self, name: str) -> Any:
        """Say of what a workflow has not what to do instead."""
        if name in _ELSEWHERE:
            raise WorkflowMisuse(
                f"a workflow has no ctx.{name}: it may be run again from its beginning",
                hint="put it into a mutation or an action, and await that as a step",
            )
        raise AttributeError(f"ctx of a workflow has no {name}")


def _name_of(given: Any, what: str) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= _NAME_MAX:
        raise InvalidArgument(f"{what} has a name of 1 to {_NAME_MAX} characters", field="name")
    return given


def _is_zoned(given: object) -> bool:
    return isinstance(given, dt.datetime) and given.tzinfo is not None


def _plain(args: dict[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = to_json(args)
    except TypeError as error:
        raise InvalidArgument(f"arguments are JSON: {error}") from error
    if len(jsonvalue.encode(plain)) > limits.WORKFLOW_BYTES_MAX:
        raise PayloadTooLarge(f"arguments have at most {limits.WORKFLOW_BYTES_MAX} bytes")
    return plain


def _retries(given: Any) -> int:
    if type(given) is not int or not 0 <= given <= _RETRIES_MAX:
        raise InvalidArgument(f"retries is a whole number from 0 to {_RETRIES_MAX}")
    return given


def _seconds(given: Any, field: str, *, is_time: bool = False) -> float:
    seconds = seconds_of(given)
    if seconds is None or (seconds < 0 and not is_time):
        raise InvalidArgument(f"{field} is seconds from 0, or a timedelta", field=field)
    if seconds > limits.WORKFLOW_WAIT_DAYS_MAX * _DAY_SECONDS:
        raise InvalidArgument(
            f"a run waits at most {limits.WORKFLOW_WAIT_DAYS_MAX} days", field=field
        )
    return seconds


def _timeout(given: Any) -> float | None:
    if given is None:
        return None
    seconds = _seconds(given, "timeout")
    if seconds <= 0:
        raise InvalidArgument("timeout is above 0", field="timeout")
    return seconds
