"""Starting in order, stopping in reverse, each step within a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("pylon.lifecycle")
_MOMENT_SECONDS = 0.5


class Stopper:
    """Remembers how to stop what was started, and does it backwards."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def add(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Have `stop` called when everything added after it has stopped."""
        self._steps.append((name, stop))

    async def stop(self, deadline_s: float) -> None:
        """Stop everything; one step that fails or hangs does not keep the others.

        No step gets more than a third of the time, nor less than a moment. One that does not let
        itself be cancelled then is left behind.
        """
        now = asyncio.get_running_loop().time
        end = now() + deadline_s
        for name, stop in reversed(self._steps):
            step = asyncio.ensure_future(stop())
            try:
                seconds = max(_MOMENT_SECONDS, min(deadline_s / 3, end - now()))
                _ = await asyncio.wait((step,), timeout=seconds)
            except asyncio.CancelledError:
                step.cancel()
                raise
            if not step.done():
                step.cancel()
                _ = await asyncio.wait((step,), timeout=_MOMENT_SECONDS)
            _report(name, step)
        self._steps.clear()


def _report(name: str, step: asyncio.Future[None]) -> None:
    """Say how a step ended that did not just end: the others stop all the same."""
    error = None if not step.done() or step.cancelled() else step.exception()
    if not step.done() or step.cancelled() or isinstance(error, TimeoutError):
        _log.error("lifecycle.stop_timed_out %s", name)
    elif error is not None:
        _log.error("lifecycle.stop_failed %s", name, exc_info=error)
