"""Drives a workflow's coroutine by hand, against its journal: outcomes in, commands out.

The code is run until every branch of it waits; then the next record, in the order in which
outcomes were recorded, is handed to the branch that waits for it, and so on. So what the code does
depends on its arguments and its journal alone, however often it is run. What is asked for and not
in the journal is `fresh`: for others to carry out and record.

What does not live here: tasks, clocks, databases (`run`), and what the code may touch (`context`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pylon.errors import WorkflowDiverged, WorkflowMisuse
from pylon.server.functions.budget import OverBudget
from pylon.server.storage.workflow_records import StepKind, StepRecord
from pylon.server.workflows.commands import Command, Gather, as_coroutine, title_of

#: How often the code of a discarded run is told so, before it is left where it stands.
_TOLD_MAX: Final = 100
_VERSION_PATH: Final = "version:"

#: Runs a piece of the app's code within its budget; raises where it takes too long.
Bounded = Callable[[Callable[[], Any]], Any]


class Discarded(BaseException):
    """The run goes on elsewhere, or is over: what its code does here means nothing any more."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the code ended: with a value, or with what it raised."""

    value: Any = None
    error: BaseException | None = None


class _Branch:
    """One line of the code: the main one, or one of a gather."""

    __slots__ = ("coroutine", "count", "gathering", "place", "prefix")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], prefix: str, gathering: _Gathering | None,
        place: int,
    ) -> None:  # fmt: skip
        self.coroutine = coroutine
        self.prefix = prefix
        self.gathering = gathering
        self.place = place
        self.count = 0

    def next_path(self) -> str:
        self.count += 1
        return f"{self.prefix}{self.count}"


@dataclass(slots=True)
class _Gathering:
    """A gather under way: who waits, what has come, how many are missing."""

    waiter: _Branch
    outcomes: list[Ending]
    left: int
    returns_exceptions: bool

    def result(self) -> Ending:
        if self.returns_exceptions:
            return Ending([one.error or one.value for one in self.outcomes])
        for one in self.outcomes:
            if one.error is not None:
                return one
        return Ending([one.value for one in self.outcomes])


class Replay:
    """One execution of a workflow's code, from its beginning."""

    def __init__(self, records: Iterable[StepRecord], began_ms: int, bounded: Bounded) -> None:
        """Make an execution.

        Args:
            records: the journal; what has ended in the order of that.
            began_ms: the run's first time, Unix ms.
            bounded: runs the app's code.
        """
        self._bounded = bounded
        self._rows: dict[str, StepRecord] = {}
        self._ended: deque[StepRecord] = deque()
        #: The highest number that the journal has of each branch, by the branch's prefix.
        self._reached: dict[str, int] = {}
        #: What the code sees as the time: that of the record it was handed last.
        self.now_ms = began_ms
        #: Every command that was awaited, by its path; and lines that none was awaited for yet.
        self.issued: dict[str, Command] = {}
        self._unasked: dict[str, None] = {}
        self.seq = 0
        self.feed(records)
        #: The record after which nothing is a repetition any more.
        self._replayed_seq = self.seq
        self._delivered_seq = 0
        self._ready: deque[tuple[_Branch, Ending]] = deque()
        self._waiting: dict[str, _Branch] = {}
        self.fresh: list[Command] = []
        self.fresh_versions: list[str] = []
        self._versions: dict[str, bool] = {}
        self._unawaited: dict[int, Command | Gather] = {}
        self._current: _Branch | None = None
        self._open: list[_Branch] = []
        self._told = 0
        self._is_discarded = False
        self.outcome: Ending | None = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Set the code that is run."""
        main = _Branch(coroutine, "", None, 0)
        self._open.append(main)
        self._ready.append((main, Ending()))

    def feed(self, records: Iterable[StepRecord]) -> None:
        """Take lines of the journal: first what has ended, in its order."""
        for one in records:
            self._rows[one.path] = one
            if one.kind == StepKind.VERSION:
                self.seq = max(self.seq, one.seq or 0)
                continue
            self._reach(one.path)
            if one.path not in self.issued:
                self._unasked[one.path] = None
            if one.seq is not None and one.seq > self.seq:
                self.seq = one.seq
                self._ended.append(one)

    def _reach(self, path: str) -> None:
        prefix = ""
        for part in path.split("."):
            self._reached[prefix] = max(self._reached.get(prefix, 0), int(part))
            prefix += f"{part}."

    @property
    def is_replaying(self) -> bool:
        """Tell whether the code repeats what it did before."""
        return self._delivered_seq < self._replayed_seq

    # --- advancing

    def advance(self) -> bool:
        """Run the code by one piece; False once it waits for what is not recorded, or has ended.

        Raises WorkflowDiverged where it asks for something else than the journal holds, and
        WorkflowMisuse where it does what could not be replayed.
        """
        if self._ready:
            branch, sent = self._ready.popleft()
            self._resume(branch, sent)
            return True
        if self.outcome is None and self._ended and self._deliver(self._ended[0]):
            return True
        self._check_all_asked_for()
        return False

    def _deliver(self, record: StepRecord) -> bool:
        branch = self._waiting.pop(record.path, None)
        if branch is None:
            return False
        self._ended.popleft()
        assert record.seq is not None
        self._delivered_seq = record.seq
        self.now_ms = max(self.now_ms, record.ended_at or 0)
        self._ready.append((branch, Ending(record)))
        return True

    def _resume(self, branch: _Branch, sent: Ending) -> None:
        self._current = branch
        try:
            yielded, outcome = self._bounded(lambda: _advanced(branch.coroutine, sent))
        except Exception as error:  # noqa: BLE001 -- it ran too long
            yielded, outcome = None, Ending(error=error)
        finally:
            self._current = None
        if outcome is not None:
            self._ended_branch(branch, outcome)
            return
        match yielded:
            case Command():
                self._issue(branch, yielded)
            case Gather():
                self._gather(branch, yielded)
            case _:
                raise _foreign(branch.coroutine, yielded)

    def _issue(self, branch: _Branch, command: Command) -> None:
        path = command.path = branch.next_path()
        if command.until_ms is None and command.seconds is not None:
            command.until_ms = self.now_ms + int(command.seconds * 1000)
        self.issued[path] = command
        self._unasked.pop(path, None)
        self._waiting[path] = branch
        row = self._rows.get(path)
        if row is None:
            self.fresh.append(command)
        elif (row.kind, row.name) != (command.kind, command.name):
            raise _diverged(row, command.title, command.place)

    def _gather(self, branch: _Branch, gather: Gather) -> None:
        prefix = f"{branch.next_path()}."
        count = len(gather.branches)
        gathering = _Gathering(
            branch, [Ending()] * count, count, gather.returns_exceptions
        )  # fmt: skip
        if not count:
            self._ready.append((branch, Ending([])))
        for place, one in enumerate(gather.branches):
            made = _Branch(as_coroutine(one), f"{prefix}{place + 1}.", gathering, place)
            self._open.append(made)
            self._ready.append((made, Ending()))

    def _ended_branch(self, branch: _Branch, outcome: Ending) -> None:
        self._open.remove(branch)
        gathering = branch.gathering
        if gathering is None:
            self.outcome = outcome
            for one in self._unawaited.values() if outcome.error is None else ():
                raise WorkflowMisuse(
                    f"{_said(one)} was made and never awaited ({one.place})", hint="write await"
                )
            return
        gathering.outcomes[branch.place] = outcome
        gathering.left -= 1
        if gathering.left == 0:
            self._ready.append((gathering.waiter, gathering.result()))

    def _check_all_asked_for(self) -> None:
        """Raise WorkflowDiverged where the journal has what the code never came to."""
        for path in self._unasked:
            raise _diverged(self._rows[path], *self._asked())

    def _asked(self) -> tuple[str, str | None]:
        """Return what the code asks for where it stands, and where that is."""
        if self.outcome is not None:
            error = self.outcome.error
            return ("its end" if error is None else f"its end with {type(error).__name__}"), None
        for command in self.fresh:
            return command.title, command.place
        return "nothing more", None

    # --- what the code asks at once

    def version(self, name: str) -> bool:
        """Tell whether the run is at this place for the first time, with the code as it is now.

        The first answer is the run's for good: a run that had passed the place before says no.
        """
        known = self._versions.get(name)
        if known is not None:
            return known
        branch = self._current
        if branch is None:
            raise WorkflowMisuse("ctx.version is asked by the workflow's own code only")
        is_new = f"{_VERSION_PATH}{name}" in self._rows
        if not is_new and self._reached.get(branch.prefix, 0) <= branch.count:
            is_new = True
            self.fresh_versions.append(name)
        self._versions[name] = is_new
        return is_new

    def made(self, one: Command | Gather) -> None:
        """Take note of a command that the code made: it is to be awaited."""
        self._unawaited[id(one)] = one

    def demand_driven(self, one: Command | Gather) -> None:
        """Check that a command is awaited by the code that made it, once."""
        if self._is_discarded:
            self._told += 1
            if self._told <= _TOLD_MAX:
                raise Discarded
            return
        if self._current is None:
            raise WorkflowMisuse(
                f"{_said(one)} is awaited outside of its workflow ({one.place})",
                hint="no tasks of your own: ctx.gather runs several at a time",
            )
        if self._unawaited.pop(id(one), None) is None:
            raise WorkflowMisuse(f"{_said(one)} is awaited twice ({one.place})")

    # --- being over

    def discard(self) -> None:
        """Let the coroutine go where it stands: nothing that it still does counts."""
        self._is_discarded = True
        for branch in self._open[::-1]:
            with suppress(Exception):  # it took too long, even for that
                self._bounded(partial(_close, branch.coroutine))
        for one in self._unawaited.values():
            for inner in one.branches if isinstance(one, Gather) else ():
                if isinstance(inner, Coroutine):
                    inner.close()
        self._open.clear()
        self._ready.clear()
        self._waiting.clear()


def _advanced(coroutine: Coroutine[Any, Any, Any], sent: Ending) -> tuple[Any, Ending | None]:
    """Run a coroutine to its next await; returns what that is, or how the coroutine ended."""
    try:
        if sent.error is not None:
            return coroutine.throw(sent.error), None
        return coroutine.send(sent.value), None
    except StopIteration as ended:
        return None, Ending(ended.value)
    except (OverBudget, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 -- whatever it is, it is how the code ended
        return None, Ending(error=error)


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine, whatever the app's code makes of it."""
    try:
        coroutine.close()
    except (OverBudget, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001, S110 -- on its way out nothing of it counts
        pass


def _diverged(row: StepRecord, asked: str, place: str | None) -> WorkflowDiverged:
    expected = title_of(row.kind, row.name)
    before = f" ({row.place})" if row.place else ""
    at = f" at {place}" if place else ""
    return WorkflowDiverged(
        f"step {row.path}: the run recorded {expected}{before}, and its code asks for {asked}{at}",
        hint="put the code back, or keep the old way for old runs: if ctx.version(…)",
        step=row.path, expected=expected, got=asked, place=place,
    )  # fmt: skip


def _foreign(coroutine: Any, yielded: object) -> WorkflowMisuse:
    """Return what to say of code that awaits what is none of ours, with its place."""
    frame = None
    while coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
        frame = coroutine.cr_frame
        coroutine = coroutine.cr_await
        inner = getattr(coroutine, "cr_code", None)
        if inner is not None and "/asyncio/" in inner.co_filename.replace("\\", "/"):
            break
    code = frame.f_code if frame is not None else None
    name = code.co_filename.replace("\\", "/").rpartition("/")[2] if code is not None else "?"
    line = frame.f_lineno if frame is not None else 0
    return WorkflowMisuse(
        f"{name}:{line} awaits {type(yielded).__name__}, which can't be replayed",
        hint="a workflow awaits ctx.step, ctx.sleep, ctx.wait_for, ctx.child and ctx.gather;"
        " put anything else into an action, and that into a step",
        place=f"{name}:{line}",
    )  # fmt: skip


def _said(one: Command | Gather) -> str:
    return "a gather" if isinstance(one, Gather) else one.title
