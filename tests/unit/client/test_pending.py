"""Pending mutations: order, answers, and their effects over rows."""

from __future__ import annotations

import msgspec

from pylon.client.pending import Effect, Pending, PendingMutation, effects_of, replay
from pylon.protocol.messages import OperationResult


def _mutation(op_id: str, *, row_id: str = "a", size: int = 10) -> PendingMutation:
    fn = "pylon.insert"
    args = {"entity": "Note", "id": row_id, "values": {}}
    effects = effects_of(fn, args)
    return PendingMutation(op_id=op_id, fn=fn, args=args, effects=effects, at="", size=size)


def test_what_is_sent_keeps_its_order_and_bounds() -> None:
    """A push takes the oldest, at most so many and so large; one alone may be larger."""
    pending = Pending()
    for op_id, size in (("o1", 10), ("o2", 10), ("o3", 100)):
        pending.add(_mutation(op_id, row_id=op_id, size=size))
    assert [one.op_id for one in pending.unsent(10, 50)] == ["o1", "o2"]
    assert [one.op_id for one in pending.unsent(1, 50)] == ["o1"]
    pending.remove("o1")
    pending.remove("o2")
    assert [one.op_id for one in pending.unsent(10, 50)] == ["o3"]


def test_the_same_operation_is_queued_once() -> None:
    """A second copy under the same id changes nothing."""
    pending = Pending()
    assert pending.add(_mutation("o1"))
    assert not pending.add(_mutation("o1"))
    assert len(pending) == 1


def test_an_applied_one_stays_until_the_cursor_reaches_it() -> None:
    """It leaves the overlay with its effect's arrival, not before (I28)."""
    pending = Pending()
    pending.add(_mutation("o1"))
    settled = pending.decide(
        OperationResult(op_id="o1", status="applied", seq=7, value={"a": 1}), 9
    )
    assert settled is not None
    assert settled.value == {"a": 1}
    assert pending.settle(6) == []
    assert [one.op_id for one in pending.settle(7)] == ["o1"]
    assert pending.effects_on("Note", "a") == ()


def test_a_rejected_one_leaves_at_once_with_its_error() -> None:
    """The caller gets the server's code, and the row shows the server's value."""
    pending = Pending()
    pending.add(_mutation("o1"))
    error = {"code": "CONFLICT", "message": "no"}
    told = pending.decide(OperationResult(op_id="o1", status="duplicate", seq=None, error=error), 9)
    assert told is not None
    assert told.error == error
    assert len(pending) == 0


def test_a_retry_decides_nothing() -> None:
    """It stays queued, to be sent again under the same id (I31)."""
    pending = Pending()
    pending.add(_mutation("o1"))
    assert pending.decide(OperationResult(op_id="o1", status="retry", seq=None), 9) is None
    assert [one.op_id for one in pending.unsent(10, 100)] == ["o1"]


def test_unbound_ones_become_the_first_principal_s() -> None:
    """What was made before anybody was known belongs to whom the welcome names."""
    pending = Pending()
    pending.add(_mutation("o1"))
    assert [one.principal for one in pending.bind("u1")] == ["u1"]
    assert pending.bind("u2") == []


def test_effects_replay_in_order_over_a_row() -> None:
    """Update, delete, insert anew: the last word counts, and an insert never covers a row."""
    base = {"id": "a", "_seq": 3, "n": 1, "m": 1}
    update = Effect(kind="update", entity="Note", id="a", values={"n": 2})
    delete = Effect(kind="delete", entity="Note", id="a")
    insert = Effect(kind="insert", entity="Note", id="a", values={"n": 9})
    assert replay(base, [update]) == {"id": "a", "_seq": 3, "n": 2, "m": 1}
    assert replay(base, [update, delete]) is None
    assert replay(base, [delete, insert]) == {"id": "a", "_seq": 0, "n": 9}
    assert replay(base, [insert]) == base
    assert replay(None, [update]) is None


def test_a_function_of_the_app_has_no_effects_of_its_own() -> None:
    """Only the built-in mutations are understood here."""
    assert effects_of("postMessage", {"entity": "Note", "id": "a"}) == []
    deleted = effects_of("pylon.delete", {"entity": "Note", "id": "a"})[0]
    assert deleted.values is msgspec.UNSET
