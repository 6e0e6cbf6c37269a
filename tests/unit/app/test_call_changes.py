"""What callers of functions must do otherwise under the next version of an app."""

from __future__ import annotations

import pytest

from pylon.app.call_changes import call_changes
from tests.unit.app.conftest import Load

BEFORE = """
@app.query
def one(ctx, text: str, count: int = 1) -> int:
    return 1
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("count: int = 1", "count: int = 2", []),
        ("count: int = 1", "count: int = 1, more: bool = False", []),
        ("count: int = 1", "count: int = 1, *, more: bool", ["demands more: boolean"]),
        ("count: int = 1", "count: int", ["demands count: number"]),
        (", count: int = 1", "", ["takes no count any more"]),
        ("text: str", "text: int", ["text is number (was string)"]),
        ("-> int", "-> str", ["returns string (was number)"]),
        ("@app.query", "@app.mutation", ["is a mutation (was a query)"]),
        ("@app.query", "@app.query(internal=True)", ["can't be called from outside any more"]),
        ("def one(", "def other(", ["is gone"]),
    ],
)
def test_changes_are_named_that_a_caller_meets(
    load: Load, old: str, new: str, wanted: list[str]
) -> None:
    """And no others: what has a default, or is new, asks nothing of him."""
    before = load(BEFORE).functions
    found = call_changes(before, load(BEFORE.replace(old, new)).functions)
    assert [change for one in found for change in one.changes] == wanted
