"""How a program holds its terminal: one that went away holds nothing up.

The library's thread that writes ends where the terminal is gone, as with a connection that broke;
whoever writes next waits for ever then, for room in a queue that nobody empties.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from textual.driver import Driver


class Outlet:
    """The file that a driver writes to; once its terminal is gone, nowhere."""

    def __init__(self, file: IO[str], gone: Callable[[], object]) -> None:
        self._file = file
        self._gone = gone
        self.is_gone = False

    def write(self, text: str) -> None:
        """Write; where that fails for good, say so once."""
        if not self.is_gone:
            try:
                self._file.write(text)
            except OSError:
                self._give_up()

    def flush(self) -> None:
        """Have what was written be there."""
        if not self.is_gone:
            try:
                self._file.flush()
            except OSError:
                self._give_up()

    def fileno(self) -> int:
        """Return the number of the file."""
        return self._file.fileno()

    def _give_up(self) -> None:
        self.is_gone = True
        self._gone()


def driver_for(found: type[Driver]) -> type[Driver]:
    """Return what drives the terminal: the library's choice, and where it can be, ours."""
    if sys.platform == "win32":
        return found
    from textual.drivers.linux_driver import LinuxDriver

    if found is not LinuxDriver:
        return found

    class TerminalDriver(LinuxDriver):
        """Ends the app with its terminal; goes on rightly after any kind of stop."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            assert self._file is not None
            self._outlet = Outlet(self._file, self._leave)
            self._file = self._outlet  # type: ignore[assignment]

        def _get_terminal_size(self) -> tuple[int, int]:
            """Return columns and lines of the terminal itself.

            The library asks COLUMNS and LINES first, which a shell may have exported long ago.
            """
            with suppress(OSError):
                columns, lines = os.get_terminal_size(self.fileno)
                if columns and lines:
                    return columns, lines
            return super()._get_terminal_size()

        def _leave(self) -> None:
            self._app.call_later(self._app.exit)

        def _sigcont_application(self, *_: Any) -> None:
            # By the loop: the signal may have come in the middle of a write, which holds a lock.
            with suppress(RuntimeError):  # no loop runs: it has not begun, or ended
                asyncio.get_running_loop().call_soon_threadsafe(self._go_on)

        def _go_on(self) -> None:
            """Take the terminal up again; a hang-up says "go on" too, and there is none then."""
            if self._writer_thread is None or not os.isatty(self.fileno):
                return
            if self._auto_restart and not self._must_signal_resume:
                # It was stopped without a word (SIGSTOP), or not at all: the library would begin
                # once more beside what runs, and two threads would share the keys.
                self.suspend_application_mode()
                self._must_signal_resume = True
            super()._sigcont_application()
            # What another program drew meanwhile, or the terminal wiped, is drawn anew.
            self._app.call_later(self._app.refresh, layout=True)

    return TerminalDriver
