"""What a screen says of rows that it could not read: while the runtime starts, and after."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

from pylon.client.admin import AdminError
from pylon.tui.jobs import Jobs
from pylon.tui.jobs_state import JobsState


class _Silent:
    """A runtime that does not answer."""

    async def get(self, path: str, **question: Any) -> dict[str, Any]:
        raise AdminError("the runtime does not answer: No such file", answer={"hint": "is it?"})


def _note(process_state: str) -> str:
    """Return the note after one question that nobody answered."""
    asked: list[Coroutine[Any, Any, None]] = []
    state = SimpleNamespace(jobs=JobsState(), process_state=process_state, touch=lambda part: None)
    app: Any = SimpleNamespace(
        state=state, clock=SimpleNamespace(monotonic=lambda: 100.0),
        run_worker=lambda work, **_: asked.append(work),
    )  # fmt: skip
    jobs = Jobs(app, cast(Any, _Silent()))
    jobs.keep_current("", 0)
    for one in asked:
        asyncio.run(one)
    jobs.keep_current("", 0)
    return state.jobs.note


def test_a_runtime_that_starts_is_no_trouble() -> None:
    """Nothing is called broken that has not begun."""
    assert _note("starting") == "◔ the runtime starts …"


def test_a_silent_runtime_is_named_with_what_to_look_at() -> None:
    """Message and hint are two parts of a line."""
    assert _note("running") == "✗ the runtime does not answer: No such file · is it?"
