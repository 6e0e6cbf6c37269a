"""The terminal, lent to a program of the user's: a pager, an editor."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from textual.app import App


async def lend(app: App[Any], command: Sequence[str], given: bytes | None = None) -> int:
    """Run a program on the terminal while the screens stand aside; returns how it ended.

    The loop goes on meanwhile, because it looks after the runtime; nothing is drawn.

    Args:
        app: whose terminal it is.
        command: the program and its words.
        given: what it reads; None: the terminal.

    Raises OSError where it can't be run, and SuspendNotSupported where nothing can be lent.
    """
    failed: BaseException | None = None
    process: asyncio.subprocess.Process | None = None
    with app.suspend(), app.batch_update(), _interrupts_for_it_alone():
        # What is raised in here would leave the screens aside for good: they come back first.
        try:
            stdin = None if given is None else asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdin=stdin)
            await process.communicate(given)
        except BaseException as error:  # noqa: BLE001 -- raised again below
            failed = error
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
    app.refresh(layout=True)
    if failed is not None:
        raise failed
    assert process is not None
    return process.returncode or 0


@contextmanager
def _interrupts_for_it_alone() -> Iterator[None]:
    """Have ctrl+c mean what it means to the program, such as the end of a search in less.

    The terminal sends it to us as well, and it would end the dashboard and what it supervises.
    """
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)
    # A handler, and not SIG_IGN: that would be inherited.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if before is not None:
            signal.signal(signal.SIGINT, before)
