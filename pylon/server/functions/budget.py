"""The time budget of a `def` function: stopped from inside, wherever it runs.

On the loop's thread by a signal, whose handler raises inside whatever Python the function is
running, also `while True`, `time.sleep` and a catastrophic regular expression; it needs the main
thread and a Unix system. On another thread by an exception that is put into it, which arrives
between two steps of Python: a call of C that does not return is waited for, and reported
(`storage.apart`). Where neither is to be had, the supervisor's watch over the loop is the answer.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar

from pylon.errors import FunctionTimeout, PylonError, Unavailable

T = TypeVar("T")
_AGAIN_SECONDS: Final = 0.1


class OverBudget(BaseException):
    """Raised inside a function that ran out of time; no Exception, so that no app catches it."""


class Budget:
    """Arms the timer around one function at a time."""

    def __init__(self) -> None:
        self._is_running = False
        self._is_over = False
        #: What runs on other threads.
        self._apart: set[_Interrupter] = set()
        self._is_stopping = False
        self._home = threading.get_ident()
        self._is_available = (
            hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            # Whoever runs us in his process may have the signal for himself, as pytest-timeout.
            and _is_free(signal.getsignal(signal.SIGALRM))
        )
        if self._is_available:
            signal.signal(signal.SIGALRM, self._rang)

    def _rang(self, signum: int, frame: FrameType | None) -> None:
        if self._is_running:
            if self._is_over:
                # It swallowed the first, and may do so for ever: raise at each of its lines, of
                # which one stands outside of whatever it catches with.
                _trace(frame, self._at_line)
            self._is_over = True
            raise OverBudget

    def _at_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if self._is_running and event == "line":
            raise OverBudget
        return self._at_line

    def run(self, function: Callable[[], T], seconds: float, name: str) -> T:
        """Return what the function returns; raises FunctionTimeout where it takes too long."""
        if threading.get_ident() != self._home:
            return self._run_apart(function, seconds, name)
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
                if self._is_over:
                    sys.settrace(None)
        except OverBudget:
            raise _timeout(name, seconds) from None
        except BaseException:
            if self._is_over:
                raise _timeout(name, seconds) from None
            raise

    def stop(self) -> None:
        """End what runs on other threads, and whatever is begun there from now on."""
        self._is_stopping = True
        for one in list(self._apart):
            one.hurry()

    def _run_apart(self, function: Callable[[], T], seconds: float, name: str) -> T:
        """Run a function on a thread that is not the loop's."""
        interrupter = _Interrupter(seconds)
        self._apart.add(interrupter)
        if self._is_stopping:
            interrupter.hurry()
        try:
            return _run_apart(function, interrupter)
        except _Stopped:
            raise self._stopped(name, seconds) from None
        finally:
            self._apart.discard(interrupter)

    def _stopped(self, name: str, seconds: float) -> PylonError:
        if not self._is_stopping:
            return _timeout(name, seconds)
        return Unavailable(
            f"{name} was stopped, because the runtime stops; nothing of it was stored",
            reason="stopping", hint="retry with the same operation id",
        )  # fmt: skip

    def _ended(self, value: T, seconds: float, name: str) -> T:
        """Return what a function returned, unless it swallowed what should have stopped it."""
        if self._is_over:
            raise _timeout(name, seconds)
        return value


def _trace(frame: FrameType | None, at_line: Callable[..., Any]) -> None:
    """Have a function called at each line of what runs on this thread."""
    sys.settrace(at_line)
    while frame is not None and frame.f_code is not Budget.run.__code__:
        frame.f_trace = at_line
        frame = frame.f_back


def _is_free(handler: object) -> bool:
    return handler is signal.SIG_DFL or isinstance(getattr(handler, "__self__", None), Budget)


def _timeout(name: str, seconds: float) -> FunctionTimeout:
    return FunctionTimeout(
        f"{name} ran longer than {seconds:g} s and was stopped; nothing of it was stored",
        hint="give it timeout=, or do the work in smaller pieces",
    )


class _Stopped(Exception):
    """A function on a thread was stopped."""


class _Interrupter:
    """Puts OverBudget into the thread that made it once its time is over, and again."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._ident = threading.get_ident()
        self._seconds = seconds
        self._is_running = True
        self._ended = threading.Event()
        #: Its time is over, or it has ended.
        self._is_time = threading.Event()
        self._putting = threading.Lock()
        threading.Thread(target=self._watch, name="pylon-budget", daemon=True).start()

    def hurry(self) -> None:
        """Have its time be over now."""
        self._is_time.set()

    def _watch(self) -> None:
        _ = self._is_time.wait(self._seconds)
        while not self._ended.is_set():
            with self._putting:
                if not self._is_running:
                    return
                self.is_over = True
                _put(self._ident, OverBudget)
            # Again: a bare `except:` of the app's may have swallowed it.
            _ = self._ended.wait(_AGAIN_SECONDS)

    def end(self) -> None:
        """Put nothing more into the thread, and take back what has not arrived.

        May itself be interrupted, once, by what was on its way: then it is called again.
        """
        self._is_running = False
        with self._putting:
            pass  # from here on nobody puts anything
        _put(self._ident, None)
        self._ended.set()
        self._is_time.set()


def _put(ident: int, exception: type[BaseException] | None) -> None:
    given = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), given)


def _run_apart(function: Callable[[], T], interrupter: _Interrupter) -> T:
    """Run a function on the thread that made its interrupter; raises _Stopped."""
    try:
        try:
            value = function()
        finally:
            interrupter.end()
    except OverBudget:
        interrupter.end()
        raise _Stopped from None
    except BaseException:
        interrupter.end()
        if interrupter.is_over:
            raise _Stopped from None
        raise
    if interrupter.is_over:
        raise _Stopped
    return value
