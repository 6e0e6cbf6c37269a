"""Making a branch: it is there once it is whole, and not where that failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from pylon.client.admin import AdminError
from pylon.tui import branch_actions
from pylon.tui.branch_actions import free_name, make_branch


class _Runtime:
    """A runtime that copies, and tells in turn how that stands."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self._told: Iterator[dict[str, Any]] = iter(told)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"making": body["name"]}

    async def get(self, path: str) -> dict[str, Any]:
        return next(self._told)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_actions, "_POLL_SECONDS", 0.0)


async def test_a_branch_is_made_once_nothing_of_it_is_under_way() -> None:
    """It is asked for until then, and no longer."""
    going = {"making": "try", "failure": None}
    runtime = _Runtime(going, going, {"making": None, "failure": None})
    await make_branch(cast(Any, runtime), "try")
    with pytest.raises(StopIteration):
        next(runtime._told)


async def test_a_branch_that_could_not_be_made_is_not_said_to_be_there() -> None:
    """Nothing is under way any more there either; its reason, code and hint are told."""
    failure = {"code": "UNAVAILABLE", "message": "no room on the disk", "hint": "make room"}
    runtime = _Runtime({"making": None, "failure": failure})
    with pytest.raises(AdminError, match="no room on the disk") as failed:
        await make_branch(cast(Any, runtime), "try")
    assert (failed.value.code, failed.value.hint) == ("UNAVAILABLE", "make room")


def test_a_name_that_is_proposed_is_free() -> None:
    """The first of try, try-2 and so on that no branch has."""
    assert free_name([]) == "try"
    assert free_name({"main", "try", "try-2"}) == "try-3"
