"""The time budget of a `def` function on the loop's thread: stopped from inside, by a signal.

The handler raises inside whatever Python the function is running, also `while True` and a
catastrophic regular expression. It needs the main thread and a Unix system; elsewhere the
supervisor's watch over the loop is the answer.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from pylon.errors import FunctionTimeout

T = TypeVar("T")


class OverBudget(BaseException):
    """Raised inside a function that ran out of time; no Exception, so that no app catches it."""


def _raise(signum: int, frame: Any) -> None:
    raise OverBudget


class Budget:
    """Arms the timer around one function at a time."""

    def __init__(self) -> None:
        self._is_available = (
            hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        )
        if self._is_available:
            signal.signal(signal.SIGALRM, _raise)

    def run(self, function: Callable[[], T], seconds: float, name: str) -> T:
        """Return what the function returns; raises FunctionTimeout where it takes too long."""
        if not self._is_available:
            return function()
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                return function()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except OverBudget:
            raise FunctionTimeout(
                f"{name} ran longer than {seconds:g} s and was stopped; nothing of it was stored",
                hint="give it timeout=, or do the work in smaller pieces",
            ) from None
