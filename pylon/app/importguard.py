"""No work in the background while a module is imported: it would outlive its generation.

Threads that the project's own module level starts are not started, tasks that it makes are
cancelled, and each is a mistake with its line. `@app.on_start` and `@app.on_stop` are for them.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from pylon.app.finder import FOREIGN_FOLDERS
from pylon.app.mistakes import Mistakes

_HINT = "start it in @app.on_start and end it in @app.on_stop"


@contextmanager
def no_background_work(root: Path, mistakes: Mistakes) -> Iterator[None]:
    """Refuse threads and tasks that the project's modules start while they are imported."""
    start = threading.Thread.start

    def guarded(thread: threading.Thread) -> None:
        frame = _own_frame(sys._getframe(1), root)
        if frame is None:
            start(thread)
            return
        mistakes.note_at_line(
            "a thread is started at module level", frame.f_code.co_filename, frame.f_lineno, _HINT
        )

    before = _tasks()
    thread_class: Any = threading.Thread
    thread_class.start = guarded
    try:
        yield
    finally:
        thread_class.start = start
        for task in _tasks() - before:
            _refuse_task(task, root, mistakes)


def _own_frame(frame: FrameType | None, root: Path) -> FrameType | None:
    """Return the project's frame that asks, unless it only imports a library that does."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        path = Path(name)
        if path.is_relative_to(root) and not FOREIGN_FOLDERS & set(path.relative_to(root).parts):
            return frame
        frame = frame.f_back
    return None


def _tasks() -> set[asyncio.Task[Any]]:
    with suppress(RuntimeError):
        return asyncio.all_tasks(asyncio.get_running_loop())
    return set()


def _refuse_task(task: asyncio.Task[Any], root: Path, mistakes: Mistakes) -> None:
    code = getattr(task.get_coro(), "cr_code", None)
    if code is None or not Path(code.co_filename).is_relative_to(root):
        return
    task.cancel()
    mistakes.note_at_line(
        f"a task is started at module level ({code.co_name})", code.co_filename,
        code.co_firstlineno, _HINT,
    )  # fmt: skip
