"""Virtual time: an event loop whose clock jumps to the next timer, and tasks with an owner.

Nothing waits in here and nothing runs beside the loop, so that the same seed gives the same run.
What belongs to a server or a client is marked, so that it can die without saying goodbye.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from pylon.testing.manual_clock import START_MS

T = TypeVar("T")
#: Whose task or timer this is.
OWNER: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("OWNER", default="")


class StandsStill(Exception):
    """Nothing is left that could ever happen: somebody waits for what never comes."""


class _Timeless(selectors.SelectSelector):
    """Waits for nothing: where nobody is ready, time moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.move: Callable[[float | None], None] = lambda seconds: None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self.move(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._seconds = 0.0
        selector = _Timeless()
        super().__init__(selector)
        selector.move = self._move
        self._clock_resolution = 1e-6
        self._owned: dict[str, dict[asyncio.Task[Any], None]] = {}
        #: What went wrong in callbacks and in tasks that nobody waits for.
        self.failures: list[BaseException] = []
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self.set_exception_handler(self._note_failure)

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._seconds

    def _move(self, seconds: float | None) -> None:
        if seconds is None:
            raise StandsStill
        self._seconds += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it here and now: nothing runs beside the loop."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- handed to who waits
            done.set_exception(error)
        return done

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:  # fmt: skip
        task = asyncio.Task(work, loop=loop, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER, "")
        if owner:
            owned = self._owned.setdefault(owner, {})
            owned[task] = None
            task.add_done_callback(lambda done: owned.pop(done, None))
        return task

    def _note_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.failures.append(error or RuntimeError(str(context.get("message"))))

    async def end_owner(self, owner: str) -> None:
        """End all tasks and timers of an owner, as the end of its process would."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        for handle in (*ready, *scheduled):
            if handle._context.get(OWNER) == owner and not _steps_a_task(handle):
                handle.cancel()
        tasks = [one for one in self._owned.pop(owner, {}) if not one.done()]
        for task in tasks:
            task.cancel()
        # What a task does on its way out happens to a dead process: nobody sees it.
        await asyncio.gather(*tasks, return_exceptions=True)


def _steps_a_task(handle: Any) -> bool:
    """Tell whether a handle is a task's own next step, by which it learns that it was ended."""
    callback = getattr(handle, "_callback", None)
    is_wakeup = isinstance(getattr(callback, "__self__", None), asyncio.Task)
    return is_wakeup or type(callback).__name__ == "TaskStepMethWrapper"


class VirtualClock:
    """The loop's time as a Clock; the wall time may be set wrong."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        #: (since when, milliseconds that are added to the wall time)
        self._skews: list[tuple[float, int]] = [(0.0, 0)]

    def now_ms(self) -> int:
        """Return the wall time as Unix milliseconds."""
        return self.shown_ms(0.0)

    def machine_ms(self) -> int:
        """Return the same: a clock that is set wrong is the machine's."""
        return self.shown_ms(0.0)

    def shown_ms(self, ago: float) -> int:
        """Return what the wall time was so many seconds ago, as Unix milliseconds."""
        then = max(0.0, self._loop.time() - ago)
        skew_ms = next(ms for since, ms in reversed(self._skews) if since <= then)
        return START_MS + skew_ms + int(then * 1000)

    def set_wrong(self, ms: int) -> None:
        """Have the wall time jump."""
        self._skews.append((self._loop.time(), self._skews[-1][1] + ms))

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        await asyncio.sleep(seconds)


def run_virtually(work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on a loop of its own in virtual time."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(work(loop))
        finally:
            _end_all(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _end_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
