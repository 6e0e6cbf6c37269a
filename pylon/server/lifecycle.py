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

        No step gets more than a third of the time, nor less than a moment.
        """
        now = asyncio.get_running_loop().time
        end = now() + deadline_s
        for name, stop in reversed(self._steps):
            try:
                async with asyncio.timeout(max(_MOMENT_SECONDS, min(deadline_s / 3, end - now()))):
                    await stop()
            except TimeoutError:
                _log.error("lifecycle.stop_timed_out %s", name)
            except Exception:  # noqa: BLE001 -- the others must stop all the same
                _log.exception("lifecycle.stop_failed %s", name)
        self._steps.clear()
