"""The time limit of coroutines: over, cancelled with its caller, or left behind."""

from __future__ import annotations

import asyncio

import pytest

from pylon.errors import FunctionTimeout, Refused
from pylon.server.functions.timed import within


async def test_what_ends_in_time_is_returned_or_raised() -> None:
    """A refusal comes as it is."""

    async def refuses() -> int:
        raise Refused("NO", "not today")

    assert await within(asyncio.sleep(0, 7), 60, "f") == 7
    with pytest.raises(Refused):
        await within(refuses(), 60, "f")


async def test_what_does_not_let_itself_be_cancelled_is_left_behind() -> None:
    """Whoever waited goes on; what it raises in the end is nobody's trouble."""
    began, may_end = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await may_end.wait()
            raise ZeroDivisionError from None

    with pytest.raises(FunctionTimeout, match=r"f ran longer than 0\.01 s"):
        await within(stubborn(), 0.01, "f")
    assert began.is_set()
    may_end.set()
    await asyncio.sleep(0)


async def test_its_caller_cancels_it_and_it_itself_is_an_error() -> None:
    """Cancelled by nobody else it has failed: the job or step that it is must not hang."""
    cancelled = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    caller = asyncio.create_task(within(waits(), 60, "f"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(cancelled.wait(), 60)

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled itself"):
        await within(cancels_itself(), 60, "f")
