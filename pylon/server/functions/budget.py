"""The time budget of a `def` function on the loop's thread: stopped from inside, by a signal.

The handler raises inside whatever Python the function is running, also `while True` and a
catastrophic regular expression. It needs the main thread and a Unix system; elsewhere the
supervisor's watch over the loop is the answer.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pylon.errors import FunctionTimeout

T = TypeVar("T")
_AGAIN_SECONDS: Final = 0.1


class OverBudget(BaseException):
    """Raised inside a function that ran out of time; no Exception, so that no app catches it."""


class Budget:
    """Arms the timer around one function at a time."""

    def __init__(self) -> None:
        self._is_running = False
        self._is_over = False
        self._is_available = (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            # Whoever runs us in his process may have the signal for himself, as pytest-timeout.
            and _is_free(signal.getsignal(signal.SIGALRM))
        )
        if self._is_available:
            signal.signal(signal.SIGALRM, self._rang)

    def _rang(self, signum: int, frame: Any) -> None:
        if self._is_running:
            self._is_over = True
            raise OverBudget

    def run(self, function: Callable[[], T], seconds: float, name: str) -> T:
        """Return what the function returns; raises FunctionTimeout where it takes too long."""
        if not self._is_available:
            return function()
        self._is_over = False
        try:
            # Again and again: a bare `except:` of the app's may swallow the first.
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
            try:
                self._is_running = True
                return self._ended(function(), seconds, name)
            finally:
                self._is_running = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        except OverBudget:
            raise _timeout(name, seconds) from None
        except Exception as error:
            if self._is_over:
                raise _timeout(name, seconds) from error
            raise

    def _ended(self, value: T, seconds: float, name: str) -> T:
        """Return what a function returned, unless it swallowed what should have stopped it."""
        if self._is_over:
            raise _timeout(name, seconds)
        return value


def _is_free(handler: object) -> bool:
    return handler is signal.SIG_DFL or isinstance(getattr(handler, "__self__", None), Budget)


def _timeout(name: str, seconds: float) -> FunctionTimeout:
    return FunctionTimeout(
        f"{name} ran longer than {seconds:g} s and was stopped; nothing of it was stored",
        hint="give it timeout=, or do the work in smaller pieces",
    )
