"""Starting in order, stopping in reverse, each step within a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger("pylon.lifecycle")


class Stopper:
    """Remembers how to stop what was started, and does it backwards."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def add(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Have `stop` called when everything added after it has stopped."""
        self._steps.append((name, stop))

    async def stop(self, deadline_s: float) -> None:
        """Stop everything; one step that fails or hangs does not keep the others."""
        for name, stop in reversed(self._steps):
            try:
                async with asyncio.timeout(deadline_s):
                    await stop()
            except TimeoutError:
                _log.error("lifecycle.stop_timed_out %s", name)
            except Exception:  # noqa: BLE001 -- the others must stop all the same
                _log.exception("lifecycle.stop_failed %s", name)
        self._steps.clear()
