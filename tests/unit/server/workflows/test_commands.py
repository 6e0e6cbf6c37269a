"""What a workflow's code awaits."""

from __future__ import annotations

import pytest

from pylon.server.storage.workflow_records import StepKind
from pylon.server.workflows.commands import as_coroutine, title_of


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (StepKind.SLEEP, "a sleep"),
        (StepKind.WAIT, 'a wait for "x"'),
        (StepKind.CHILD, "the child x"),
        (StepKind.STEP, 'the step "x"'),
    ],
)
def test_each_kind_has_its_words(kind: StepKind, title: str) -> None:
    """As divergences say them."""
    assert title_of(kind, "x") == title


async def test_whatever_can_be_awaited_is_a_branch() -> None:
    """A coroutine as it is, anything else wrapped in one."""

    async def five() -> int:
        return 5

    class Later:
        def __await__(self):  # type: ignore[no-untyped-def]
            return five().__await__()

    coroutine = five()
    assert as_coroutine(coroutine) is coroutine
    assert await coroutine == 5
    assert await as_coroutine(Later()) == 5
