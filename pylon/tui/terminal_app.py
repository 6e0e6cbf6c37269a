"""What dashboard and launcher have in common as programs on a terminal.

Nothing that they draw steers it, a fault of ours included, and whatever ends them gives it back.
"""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Sequence
from typing import Final, TypeVar

from rich.text import Text
from textual.app import App
from textual.driver import Driver
from textual.filter import LineFilter
from textual.widgets._toast import Toast

from pylon.printable import clean_block
from pylon.tui.outlet import driver_for
from pylon.tui.saying import NOTICES
from pylon.tui.unsteered import UNSTEERED

Returned = TypeVar("Returned")
_ENDING: Final = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class TerminalApp(App[Returned]):
    """A program that has the whole terminal."""

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every line passes on its way out."""
        return [UNSTEERED, *super().get_line_filters()]

    def get_driver_class(self) -> type[Driver]:
        """Return what drives the terminal."""
        return driver_for(super().get_driver_class())

    def clear_notifications(self) -> None:
        """Take all notices away, with the lines that they stand in: the library leaves those."""
        super().clear_notifications()
        self.call_later(self._clear_lines)  # by the app's own loop: anybody may have called this

    def _clear_lines(self) -> None:
        for screen in self.screen_stack:
            for holder in screen.query(f"#{NOTICES} > *"):
                is_said = any(
                    one._notification in self._notifications for one in holder.query(Toast)
                )
                if holder.is_mounted and not is_said:
                    holder.remove()

    def _fatal_error(self) -> None:
        """End after a fault of ours, and say it.

        The library would print the values of variables, too: that is data, and may be a token.
        """
        said = clean_block(traceback.format_exc())
        self._exit_renderables.append(Text(f"{said}the dashboard ends by a fault of its own"))
        self._close_messages_no_wait()

    async def run_until_told(self) -> Returned | None:
        """Run until it is left, or told to end by a signal; returns what it was left with.

        The signals stay the loop's afterwards: a terminal that closes sends more than one, and
        a runtime is being stopped meanwhile.
        """
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self.exit)
        return await self.run_async()
