"""Several parts of an import at once: each an operation of its own, in one commit where it fits.

None behind one that is refused is stored. What they met is told along, so that whoever sends them
goes by what others wait for him (`client.import_pace`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylon import limits
from pylon.clock import Clock
from pylon.errors import InvalidArgument, PylonError, Unavailable
from pylon.server.functions.importing import ImportAnswer, ImportPart, part_of
from pylon.server.storage.transaction import Transaction
from pylon.server.storage.writer import Writer


@dataclass(slots=True)
class _Spent:
    """How long storing all parts took, in seconds."""

    run_s: float = 0.0


class _PartInLine:
    """A part that is stored only where the one before it is."""

    is_plain = False

    def __init__(
        self, part: ImportPart, before: _PartInLine | None, spent: _Spent, clock: Clock
    ) -> None:
        self._part = part
        self._before = before
        self._spent = spent
        self._clock = clock
        #: The transaction that holds it; another one where its batch is run again.
        self._held_by: Transaction | None = None
        #: Done when it is known what became of it.
        self.future: asyncio.Future[Any] | None = None

    def run(self, transaction: Transaction) -> ImportAnswer:
        self._held_by = None
        if self._before is not None and not self._before.is_in(transaction):
            raise Unavailable("a part before this one is not stored", reason="earlier_operation")
        started = self._clock.monotonic()
        try:
            answer = self._part.run(transaction)
        finally:
            self._spent.run_s += self._clock.monotonic() - started
        self._held_by = transaction
        return answer

    def is_in(self, transaction: Transaction) -> bool:
        """Tell whether it is stored, or will be by this transaction, whatever else may happen.

        What it lost its batch by, or a commit of which nobody knows, is no exception of `run`.
        """
        future = self.future
        if future is not None and future.done():
            return not future.cancelled() and future.exception() is None
        return self._held_by is transaction

    def refuse(self, transaction: Transaction, error: PylonError) -> None:
        """Remember nothing, as a part alone does."""
        self._held_by = None


async def take_parts(
    writer: Writer, clock: Clock, body: Mapping[str, Any], new_id: Callable[[], str], *,
    has_policies: bool,
) -> dict[str, Any]:  # fmt: skip
    """Store parts; answers {"parts", "error", "load"}: of those before the first refused one.

    Args:
        writer: of the database.
        clock: measures.
        body: {"parts": [{"op_id", "records"}, …]} with the options of all.
        new_id: mints the ids of rows.
        has_policies: the app is loaded.

    Raises InvalidArgument for a request that is none; then nothing was stored.
    """
    given = body.get("parts")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise InvalidArgument("parts are objects with op_id and records", field="parts")
    asked = [part_of({**body, **one}) for one in given]
    if sum(len(records) for _, records, _ in asked) > limits.IMPORT_ROWS_MAX:
        raise InvalidArgument(
            f"all parts together have {limits.IMPORT_ROWS_MAX} records at most", field="parts"
        )
    spent = _Spent()
    before, started = writer.operations, clock.monotonic()
    parts: list[_PartInLine] = []
    waiting: list[asyncio.Future[Any]] = []
    for content in asked:
        part = ImportPart(*content, new_id, has_policies=has_policies)
        parts.append(_PartInLine(part, parts[-1] if parts else None, spent, clock))
        parts[-1].future = writer.submit_work(parts[-1])
        waiting.append(parts[-1].future)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    took_ms = (clock.monotonic() - started) * 1000
    answers: list[dict[str, Any]] = []
    error: PylonError | None = None
    for one in ended:
        if isinstance(one, PylonError):
            error = one
            break
        if isinstance(one, BaseException):
            raise one
        answers.append(one.value.to_json())
    return {
        "parts": answers, "error": None if error is None else error.to_wire(),
        "load": {
            "run_ms": round(spent.run_s * 1000, 2), "took_ms": round(took_ms, 2),
            "queued": writer.queued,
            "others": max(0, writer.operations - before - len(asked)),
        },
    }  # fmt: skip
