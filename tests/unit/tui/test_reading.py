"""What a screen says of rows that it could not read: while the runtime starts, and after."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

from pylon.client.admin import AdminError
from pylon.tui.enduring import Enduring
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


class _Later:
    """The Jobs screen over a runtime that answers when the test says; its clock is the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.answers: list[asyncio.Future[dict[str, Any]]] = []
        self.workers: list[asyncio.Task[None]] = []
        self.held = JobsState(told_at=100.0)
        state = SimpleNamespace(
            jobs=self.held, process_state="running", touch=lambda part: None
        )  # fmt: skip
        app: Any = SimpleNamespace(
            state=state, clock=SimpleNamespace(monotonic=lambda: self.now),
            run_worker=lambda work, **_: self.workers.append(asyncio.ensure_future(work)),
        )  # fmt: skip
        app.enduring = Enduring(app, is_afar=False)
        self.jobs = Jobs(app, cast(Any, self))

    async def get(self, path: str, **question: Any) -> dict[str, Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]

    async def look(self, search: str = "") -> None:
        """Draw a frame, and let what it began come as far as it can."""
        self.held.told_at = self.now
        self.jobs.keep_current(search, 0)
        await asyncio.sleep(0)

    async def answer(self, *ids: str) -> None:
        """Answer the newest question."""
        self.answers[-1].set_result({"jobs": [{"id": one} for one in ids], "next": None})
        await self.workers[-1]


async def test_an_answer_to_another_search_is_not_shown() -> None:
    """It comes as the next letters are typed already; then they are asked for."""
    screen = _Later()
    await screen.look("ma")
    await screen.look("mail")
    await screen.answer("of-ma")
    assert (screen.held.rows, screen.held.has_more) == ([], None)
    screen.now += 60
    await screen.look("mail")
    await screen.answer("of-mail")
    assert [one["id"] for one in screen.held.rows] == ["of-mail"]


async def test_rows_are_as_old_as_their_question() -> None:
    """What took five seconds to come may have moved five seconds ago."""
    screen = _Later()
    await screen.look()
    screen.now += 5
    await screen.answer("a")
    screen.jobs._next_at = screen.now + 60
    await screen.look()
    assert screen.held.note == "STALE: jobs were read 5 s ago"


async def test_what_moved_while_it_was_read_is_read_again() -> None:
    """The rows that come are of the version that was asked for, not of the one told since."""
    screen = _Later()
    await screen.look()
    screen.held.version += 1
    await screen.answer("a")
    screen.now += 0.9  # not for its age
    await screen.look()
    assert len(screen.answers) == 2
    await screen.answer("b")
    screen.now += 0.9
    await screen.look()
    assert len(screen.answers) == 2
