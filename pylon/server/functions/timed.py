"""The time limit of the app's coroutines: cancelled when it is over, and left behind if need be.

What does not live here: the budget of `def` functions (`budget`), and actions whose caller may
leave before (`actions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from pylon.errors import FunctionTimeout

T = TypeVar("T")


async def within(work: Awaitable[T], seconds: float, name: str) -> T:
    """Await code of the app for so long; cancelling this cancels it.

    One that does not let itself be cancelled is left behind: whoever calls this sees to it that it
    reaches nothing any more. Raises FunctionTimeout, and RuntimeError where it cancelled itself.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_heed)
    try:
        done, _ = await asyncio.wait((task,), timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise over_time(name, seconds)
    if task.cancelled():
        raise RuntimeError("it cancelled itself")
    return task.result()


def over_time(name: str, seconds: float) -> FunctionTimeout:
    """Return the error of a coroutine that was stopped because its time was over."""
    return FunctionTimeout(
        f"{name} ran longer than {seconds:g} s and was stopped",
        hint="what it wrote before stays; give it a longer timeout=",
    )


def _heed(task: asyncio.Future[Any]) -> None:
    """Look at what one that was left behind raised, so that nobody complains of it."""
    if not task.cancelled():
        task.exception()
