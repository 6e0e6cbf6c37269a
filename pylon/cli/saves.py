"""The watch over a project's saves: whoever relies on it hears when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


def watched(
    session: Coroutine[None, None, None], tell: Callable[[str], None]
) -> asyncio.Task[None]:
    """Run the watch beside other things; what ends it other than the caller is told.

    A task that nobody waits for dies without a word, and saves would go unseen for good.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            reason = f"{type(error).__name__}: {error}"
            tell(f"saves are not seen any more ({reason}); start pylon dev anew")

    task = asyncio.create_task(session, name="pylon-saves")
    task.add_done_callback(ended)
    return task
