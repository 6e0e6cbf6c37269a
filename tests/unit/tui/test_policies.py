"""When the matrix of policies is asked for: as it changes, and never in the way of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from pylon.tui.model import DashboardState
from pylon.tui.policies import Policies
from tests.screens.fakes import status


class _Slow:
    """A runtime that answers when the test says."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, path: str) -> dict[str, Any]:
        self.asked += 1
        return {"rows": [], "coverage_is_live": True, "number": self.asked}


def test_a_slow_matrix_is_waited_for() -> None:
    """Counts are asked for every 1.5 s: one that takes longer is not given up each time."""
    waiting: list[Coroutine[Any, Any, None]] = []
    now = [100.0]
    state = DashboardState()
    state.fold(status(), 0.0)
    app: Any = SimpleNamespace(
        state=state, clock=SimpleNamespace(monotonic=lambda: now[0]),
        run_worker=lambda work, **given: waiting.append(work),
    )  # fmt: skip
    policies = Policies(app, _Slow())  # type: ignore[arg-type]
    policies.keep_current()
    asyncio.run(waiting.pop())
    assert state.policies["number"] == 1
    for _ in range(5):
        now[0] += 2.0
        policies.keep_current()
    assert len(waiting) == 1, "the one that is under way"
    assert policies.note.startswith("STALE")
    asyncio.run(waiting.pop())
    assert state.policies["number"] == 2
    policies.ask_again()
    policies.keep_current()
    assert len(waiting) == 1
    waiting.pop().close()
