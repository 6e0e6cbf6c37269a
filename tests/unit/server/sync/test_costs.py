"""What subscriptions cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pylon import limits_keeping
from pylon.server.sync.costs import Costs


class View:
    def __init__(self, *shapes: tuple[str, tuple[str, ...]]) -> None:
        self.shapes = {shape[0]: shape for shape in shapes}


def _records(*entities: str) -> Any:
    return [SimpleNamespace(seq=n, entity=one) for n, one in enumerate(entities, 1)]


def test_costs_are_counted_by_what_is_asked_for() -> None:
    """Two callers with the same filter are one line; each connection is a push."""
    costs = Costs()
    all_notes, mine = ("Note", ("{}",)), ("Note", ('{"owner":1}',))
    one, other, third = View(all_notes, ("Tag", ("{}",))), View(all_notes), View(mine)
    members = {one: [1, 2], other: [3], third: [4]}
    for view in (one, other, third):
        costs.begin(view)
    text = b"12345"
    costs.note(
        _records("Note", "Tag", "Note"),
        {one: [(1, 1, text), (2, 2, text)], other: [(1, 1, text)], third: []}, members,
    )  # fmt: skip
    found = {(row["entity"], row["filter"]): row for row in costs.most(10, members)}
    assert found["Note", "{}"]["connections"] == 3
    assert found["Note", "{}"]["pushes"] == 3
    assert found["Note", "{}"]["bytes"] == 15
    assert found["Note", "{}"]["evaluations"] == 2
    assert found["Note", '{"owner":1}']["evaluations"] == 2
    assert found["Note", '{"owner":1}']["pushes"] == 0
    assert found["Tag", "{}"]["bytes"] == 10
    costs.note_run("Note", "{}")
    (first, *_) = costs.most(10, members)
    assert (first["reruns"], first["evaluations"]) == (1, 3)


def test_kinds_are_bounded() -> None:
    """At the limit the one that was counted first is forgotten."""
    costs = Costs()
    for n in range(limits_keeping.SUBSCRIPTION_COSTS_MAX + 5):
        costs.note_run("Note", str(n))
    assert len(costs) == limits_keeping.SUBSCRIPTION_COSTS_MAX
