"""What is submitted to the writer at once: operations, in order, and the future of their answer.

What does not live here: batches of units (`writer`) and what a batch does with one (`batch`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pylon.errors import PylonError, Unavailable
from pylon.server.storage.apart import Apart
from pylon.server.storage.batch import Batch, BatchLost, Work, as_pylon_error
from pylon.server.storage.transaction import Transaction

T = TypeVar("T")
Refusal = Callable[[Transaction, PylonError], Any]


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What an operation returned, and the head right after it."""

    value: T
    seq: int


class FunctionWork:
    """A function as an operation: nothing is known of it, so it gets a savepoint."""

    __slots__ = ("_on_refused", "_work")
    is_plain = False

    def __init__(self, work: Callable[[Transaction], Any], on_refused: Refusal | None) -> None:
        self._work = work
        self._on_refused = on_refused

    def run(self, transaction: Transaction) -> Any:
        """Do it."""
        return self._work(transaction)

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Do what is to be done in its place."""
        if self._on_refused is not None:
            self._on_refused(transaction, error)


class Unit:
    """What was submitted at once: its operations, in order, and the one future of its answer."""

    __slots__ = (
        "apart", "future", "is_group", "is_ordered", "look_up", "lost", "outcomes", "seq", "works"
    )  # fmt: skip

    def __init__(
        self, works: Sequence[Work], future: asyncio.Future[Any], *, is_group: bool,
        is_ordered: bool = True, look_up: Callable[[Transaction], None] | None = None,
        apart: Apart | None = None,
    ) -> None:  # fmt: skip
        #: That it runs alone, on the connection's thread; None for what is short.
        self.apart = apart
        self.works = works
        self.future = future
        self.is_group = is_group
        #: One that must be retried stops those behind it.
        self.is_ordered = is_ordered
        self.look_up = look_up
        self.outcomes: list[Any] = []
        #: Operations that lost a batch, by their place, and why: they are not run again.
        self.lost: dict[int, PylonError] = {}
        self.seq = 0

    def run(self, batch: Batch) -> None:
        """Run the operations."""
        for _ in self.turns(batch):
            pass

    def turns(self, batch: Batch) -> Iterator[None]:
        """Run the operations; yields where others may have a turn: between two of the app's."""
        outcomes = self.outcomes = []
        if self.look_up is not None:
            self.look_up(batch.transaction)
        for place, work in enumerate(self.works):
            if place and not work.is_plain:
                yield
            try:
                outcome = self.lost.get(place) or batch.run(work)
            except BatchLost as loss:
                self.lost[place] = as_pylon_error(loss.error, batch.new_id)
                raise
            outcomes.append(outcome)
            if self.is_ordered and isinstance(outcome, PylonError) and outcome.is_transient:
                break
        missing = len(self.works) - len(outcomes)
        if missing:
            outcomes += [
                Unavailable(
                    "an operation before this one must be retried", reason="earlier_operation"
                )
            ] * missing
        self.seq = batch.seq
        yield

    def answer(self, failure: PylonError | None = None) -> None:
        """Resolve the future: with the outcomes, or one failure for all."""
        if self.future.done():
            return
        if failure is not None:
            self.future.set_exception(failure)
        elif self.is_group:
            self.future.set_result(self.outcomes)
        elif isinstance(self.outcomes[0], PylonError):
            self.future.set_exception(self.outcomes[0])
        else:
            self.future.set_result(Committed(self.outcomes[0], self.seq))
