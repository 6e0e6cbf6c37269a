"""Delivery: one push in flight, in order."""

from __future__ import annotations

from pylon.client.delivery import Delivery
from pylon.client.pending import Pending, PendingMutation
from pylon.protocol.messages import OperationResult, Results


def _delivery(*op_ids: str) -> tuple[Delivery, Pending]:
    pending = Pending()
    for op_id in op_ids:
        pending.add(PendingMutation(op_id=op_id, fn="f", args={"a": 1}, effects=[], at="", size=1))
    return Delivery(pending, lambda: 0.5), pending


def test_only_one_push_is_in_flight() -> None:
    """The next waits for the answer, so that order is kept."""
    delivery, _ = _delivery("o1", "o2")
    push = delivery.next("c")
    assert push is not None
    assert [one.op_id for one in push.operations] == ["o1", "o2"]
    assert delivery.next("c") is None


def test_after_a_loss_the_same_operations_go_again() -> None:
    """Ids and order are those of the first time (I31)."""
    delivery, _ = _delivery("o1", "o2")
    first = delivery.next("c")
    delivery.interrupt()
    second = delivery.next("c")
    assert first is not None
    assert second is not None
    assert first.operations == second.operations
    assert first.request_id != second.request_id


def test_a_refused_push_is_taken_apart() -> None:
    """One bad operation does not take its neighbours along (I30)."""
    delivery, pending = _delivery("o1", "o2")
    delivery.next("c")
    error = {"code": "INVALID_ARGUMENT", "message": "bad"}
    assert delivery.refused(error).settlements == ()
    alone = delivery.next("c")
    assert alone is not None
    assert [one.op_id for one in alone.operations] == ["o1"]
    assert [one.op_id for one in delivery.refused(error).settlements] == ["o1"]
    assert len(pending) == 1


def test_results_that_decide_nothing_pause() -> None:
    """A server that answers nothing useful is not asked at once again."""
    delivery, _ = _delivery("o1")
    delivery.next("c")
    outcome = delivery.answered(Results(request_id="p1", results=[], head="e:1"))
    assert outcome.pause_ms is not None
    assert delivery.next("c") is None
    delivery.resume()
    assert delivery.next("c") is not None


def test_a_retry_behind_applied_ones_pauses_the_rest() -> None:
    """What was decided is settled, what was not waits."""
    delivery, _ = _delivery("o1", "o2")
    delivery.next("c")
    results = [
        OperationResult(op_id="o1", status="applied", seq=2),
        OperationResult(op_id="o2", status="retry", seq=None),
    ]
    outcome = delivery.answered(Results(request_id="p1", results=results, head="e:2"))
    assert [one.op_id for one in outcome.settlements] == ["o1"]
    assert outcome.pause_ms is not None
