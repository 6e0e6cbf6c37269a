"""What the Data screen asks: never the rest of a question that is over by then."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from pylon.tui.data import Data
from pylon.tui.data_state import NEAR, PAGE
from pylon.tui.enduring import Enduring
from pylon.tui.model import DashboardState
from tests.screens.data_fakes import OWNER, TASK, FakeTable, task
from tests.screens.fakes import status


class _Runtime:
    """A runtime with many tasks, which remembers what it was asked."""

    def __init__(self) -> None:
        self.table = FakeTable([task(n) for n in range(2 * PAGE)])
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.as_of_meanwhile: int | None = None
        self.state: DashboardState | None = None

    @staticmethod
    def quoted(text: str) -> str:
        return text

    async def get(self, path: str, **given: Any) -> dict[str, Any]:
        self.asked.append((path, given))
        if path == "admin/data":
            count = 7 if given["as_of"] is None else 3
            if self.as_of_meanwhile is not None and self.state is not None:
                self.state.data.stand(self.as_of_meanwhile)
            return {"entities": [{**one, "rows": count} for one in (TASK, OWNER)]}
        return self.table(given)


class _Asked:
    """The Data screen over a dashboard whose workers begin when the test says."""

    def __init__(self) -> None:
        self.runtime = _Runtime()
        self.waiting: list[Coroutine[Any, Any, None]] = []
        self.now = 100.0
        self.state = self.runtime.state = DashboardState()
        self.state.fold(status(head=9), 0.0)
        app: Any = SimpleNamespace(
            state=self.state, clock=SimpleNamespace(monotonic=lambda: self.now),
            run_worker=lambda work, **_: self.waiting.append(work), draw=lambda: None,
        )  # fmt: skip
        app.enduring = Enduring(app, is_afar=False)
        self.data = Data(app, self.runtime)  # type: ignore[arg-type]

    def look(self, cursor: int = 0) -> None:
        """Draw a frame, some time later."""
        self.now += 100.0
        self.data.keep_current("", cursor)

    def begin(self) -> None:
        """Have what waits be asked and answered."""
        waiting, self.waiting[:] = self.waiting[:], []
        for one in waiting:
            asyncio.run(one)

    def rows_asked(self) -> list[dict[str, Any]]:
        """Return the questions for rows of tasks."""
        return [
            given for path, given in self.runtime.asked
            if path == "admin/data/Task" and "limit" in given
        ]  # fmt: skip


def test_the_rest_of_a_question_is_not_asked_of_the_next() -> None:
    """Between the wish for more rows and its start one opened them anew: there is no rest yet."""
    asked = _Asked()
    asked.look()
    asked.begin()
    asked.state.data.enter("Task")
    asked.look()
    asked.begin()
    assert asked.state.data.is_answered
    asked.look(PAGE - NEAR + 1)
    assert len(asked.waiting) >= 1
    asked.state.data.enter("Task")  # its rows are let go: there is no row to go on behind
    before = len(asked.rows_asked())
    asked.begin()
    assert len(asked.rows_asked()) == before
    asked.look()
    asked.begin()
    assert "after" not in asked.rows_asked()[-1]
    assert len(asked.state.data.rows) == PAGE


def test_counts_of_now_are_not_taken_for_those_of_the_past() -> None:
    """One went to the past while they were on their way; they are asked again at once."""
    asked = _Asked()
    asked.runtime.as_of_meanwhile = 4
    asked.look()
    asked.begin()
    assert asked.state.data.entities == []
    asked.look()
    asked.begin()
    assert {one["rows"] for one in asked.state.data.entities} == {3}


def test_rows_of_another_branch_are_read_though_its_log_is_as_long() -> None:
    """A copy begins with the number of changes that it is a copy of."""
    asked = _Asked()
    asked.state.data.enter("Task")
    for _ in range(3):
        asked.look()
        asked.begin()
    known = len(asked.runtime.asked)
    asked.look()
    asked.begin()
    assert len(asked.runtime.asked) == known, "nothing has moved"
    asked.state.fold(status(head=9, epoch="another"), 1.0)
    asked.look()
    asked.begin()
    paths = [path for path, _ in asked.runtime.asked[known:]]
    assert {"admin/data", "admin/data/Task"} <= set(paths)
