"""What the dashboard knows, message by message."""

from __future__ import annotations

from pylon.tui.model import DashboardState, matches_change
from tests.screens.fakes import change, changes, status


def test_changes_are_kept_once_and_in_order() -> None:
    """A stream that begins again repeats changes; they are not shown twice."""
    state = DashboardState()
    state.fold(status(), 0.0)
    state.fold(changes(change(1), change(2)), 0.0)
    state.fold(changes(change(1), change(2), change(3)), 0.0)
    assert [one["seq"] for one in state.changes] == [1, 2, 3]


def test_another_epoch_begins_a_new_list() -> None:
    """Numbers of another lineage mean other changes."""
    state = DashboardState()
    state.fold(status(epoch="a"), 0.0)
    state.fold(changes(change(9)), 0.0)
    state.fold(status(epoch="b"), 1.0)
    state.fold(changes(change(1)), 1.0)
    assert [one["seq"] for one in state.changes] == [1]


def test_the_rate_is_of_the_last_seconds() -> None:
    """Writes per second come from two counts and the time between them."""
    state = DashboardState()
    for second in range(10):
        state.fold(status(writes=second * 50), float(second))
    assert state.writes_per_second() == 50.0


def test_a_restart_forgets_what_the_dead_one_knew() -> None:
    """Connections and calls of a process that has ended are gone; changes stay."""
    state = DashboardState()
    state.fold(status(), 0.0)
    state.fold(changes(change(1)), 0.0)
    state.fold({"type": "clients", "clients": [{"connection_id": "x"}]}, 0.0)
    state.note_process("backing off", "it was ended by signal 9")
    assert state.clients == []
    assert len(state.changes) == 1
    assert state.has_trouble
    state.note_process("starting", "")
    assert state.restarts == 1


def test_filter_terms() -> None:
    """Words, columns and inversion."""
    one = change(1, entity="Message", user="ada@example.com", row_id="abc")
    for terms, found in (
        ("", True), ("mess", True), ("entity:mess user:ada", True), ("entity:user", False),
        ("!ada", False), ("!bob", True), ("id:abc kind:insert", True), ("ada bob", False),
    ):  # fmt: skip
        assert matches_change(one, terms) is found, terms
