"""Functions that may take long: run whole on a connection's own thread, with the loop free.

One that does not end when its time is over, because a call of C does not return, is reported with
its stack and then ends the process: its supervisor starts another, and what was not committed is
gone. What does not live here: how it is stopped (`functions.budget`) and batches (`batch`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeVar

from pylon import limits
from pylon.server.storage.batch import Batch, BatchLost, SavepointsNeeded
from pylon.sqlite import SQLITE_FULL, Connection, Error, RawConnection

if TYPE_CHECKING:
    from pylon.server.storage.units import Unit

T = TypeVar("T")
_log = logging.getLogger("pylon.functions")
#: The exit code of a runtime that a function held.
EXIT_HELD: Final = 70
#: The app's code is kept from it later.
_exit_now: Final = os._exit


class NewBatch(Protocol):
    """Makes the batch that a unit is run in."""

    def __call__(self, *, is_careful: bool) -> Batch:
        """Return a batch in the open transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Apart:
    """That something runs on its connection's thread: which function, and for how long at most."""

    name: str
    seconds: float

    @classmethod
    def of(cls, name: str, seconds: float | None) -> Apart | None:
        """Return it where a function asks for longer than the loop can be held."""
        is_long = seconds is not None and seconds > limits.FUNCTION_SECONDS
        return cls(name, seconds) if is_long and seconds is not None else None

    @classmethod
    def together(cls, parts: list[Apart | None]) -> Apart | None:
        """Return it for what runs one after the other; None where none of it is long."""
        found = [one for one in parts if one is not None]
        if not found:
            return None
        rest = (len(parts) - len(found)) * limits.FUNCTION_SECONDS
        return cls(found[0].name, sum(one.seconds for one in found) + rest)


async def run_apart(
    connection: Connection, function: Callable[[RawConnection], T], apart: Apart
) -> T:
    """Run a function on the connection's thread; report it, and end the process, where it stays."""
    thread = 0

    def on_thread(raw: RawConnection) -> T:
        nonlocal thread
        thread = threading.get_ident()
        return function(raw)

    work = asyncio.ensure_future(connection.run(on_thread))
    try:
        grace_s = apart.seconds + limits.HANG_REPORT_SECONDS
        done, _ = await asyncio.wait((work,), timeout=grace_s)
        if not done:
            _log.error(
                "function.hung %s ran %g s and can't be stopped; the runtime ends in %g s\n%s",
                apart.name, grace_s, limits.HANG_RESTART_SECONDS - limits.HANG_REPORT_SECONDS,
                _stack_of(thread),
            )  # fmt: skip
            rest_s = limits.HANG_RESTART_SECONDS - limits.HANG_REPORT_SECONDS
            done, _ = await asyncio.wait((work,), timeout=rest_s)
        if not done:
            _end_process(apart)
        return work.result()
    except asyncio.CancelledError:
        # Nothing stops the thread: whoever comes next must find the connection free.
        with suppress(Error, BatchLost):
            await asyncio.shield(work)
        raise


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "" if frame is None else "".join(traceback.format_stack(frame))


def _end_process(apart: Apart) -> NoReturn:
    sys.stderr.write(f"pylon: {apart.name} did not end for {limits.HANG_RESTART_SECONDS:g} s\n")
    sys.stderr.flush()
    _exit_now(EXIT_HELD)


def unit_in_batch(raw: RawConnection, unit: Unit, new_batch: NewBatch) -> Batch:
    """Run one unit as a batch of its own, on whatever thread; again, carefully, where it is lost.

    Raises BatchLost where the disk is full.
    """
    is_careful = False
    while True:
        raw.execute("BEGIN IMMEDIATE")
        batch = new_batch(is_careful=is_careful)
        try:
            unit.run(batch)
            batch.finish()
        except SavepointsNeeded:
            raw.execute("ROLLBACK")
        except BatchLost as loss:
            if is_full(loss.error):
                raise
        else:
            return batch
        is_careful = True


def is_full(error: BaseException) -> bool:
    """Tell whether the disk is full."""
    return getattr(error, "sqlite_errorcode", None) == SQLITE_FULL
