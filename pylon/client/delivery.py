"""Delivery of mutations: in order, one push in flight, the same operation ids at each try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pylon.client.backoff import retry_ms
from pylon.client.pending import Pending, PendingMutation, Settlement
from pylon.client.subscription import seq_of
from pylon.protocol.messages import Operation, Push, Results

PUSH_COUNT_MAX: Final = 100
PUSH_SIZE_MAX: Final = 256 * 1024
#: Codes after which the same operation id may be sent again and may then succeed.
TRANSIENT: Final = frozenset({"UNAVAILABLE", "RATE_LIMITED"})


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What follows from an answer: who is told, and how long to wait before the next push."""

    settlements: tuple[Settlement, ...]
    pause_ms: int | None


class Delivery:
    """Decides what to push, and takes the answers."""

    def __init__(self, pending: Pending, random: Callable[[], float]) -> None:
        self._pending = pending
        self._random = random
        self._requests = 0
        self._in_flight: tuple[str, list[PendingMutation]] | None = None
        self._attempt = 0
        self._is_paused = False
        self._count_max = PUSH_COUNT_MAX

    def next(self, client_id: str) -> Push | None:
        """Return the next push, None while one is in flight, a pause lasts or nothing waits."""
        if self._in_flight is not None or self._is_paused:
            return None
        waiting = self._pending.unsent(self._count_max, PUSH_SIZE_MAX)
        if not waiting:
            return None
        self._requests += 1
        request_id = f"p{self._requests}"
        self._in_flight = (request_id, waiting)
        operations = [Operation(op_id=one.op_id, fn=one.fn, args=one.args) for one in waiting]
        return Push(request_id=request_id, client_id=client_id, operations=operations)

    def interrupt(self) -> None:
        """The connection is gone: what was in flight goes again under the same ids."""
        self._in_flight = None
        self._is_paused = False

    def resume(self) -> None:
        """End a pause."""
        self._is_paused = False

    def is_awaiting(self, request_id: str) -> bool:
        """Tell whether this request is the one in flight."""
        return self._in_flight is not None and self._in_flight[0] == request_id

    def answered(self, message: Results) -> DeliveryOutcome:
        """Take the results of the push in flight."""
        self._in_flight = None
        self._count_max = PUSH_COUNT_MAX
        head = seq_of(message.head)
        found = [self._pending.decide(result, head) for result in message.results]
        settlements = tuple(one for one in found if one is not None)
        is_retry = not settlements or any(one.status == "retry" for one in message.results)
        if is_retry:
            return DeliveryOutcome(settlements, self._pause())
        self._attempt = 0
        return DeliveryOutcome(settlements, None)

    def refused(self, error: dict[str, Any]) -> DeliveryOutcome:
        """A push was refused as a whole: send one by one to find out which operation it was."""
        operations = self._in_flight[1] if self._in_flight is not None else []
        self._in_flight = None
        if error.get("code") in TRANSIENT:
            return DeliveryOutcome((), self._pause())
        if len(operations) > 1:
            self._count_max = 1
            return DeliveryOutcome((), None)
        for one in operations:
            self._pending.remove(one.op_id)
        told = tuple(Settlement(op_id=one.op_id, error=error) for one in operations)
        return DeliveryOutcome(told, None)

    def discarded(self, op_id: str) -> DeliveryOutcome:
        """Give up one that is not decided; what the server has taken comes as a change."""
        message = "the mutation was discarded before it was confirmed"
        given_up = Settlement(op_id=op_id, error={"code": "ABORTED", "message": message})
        is_waiting = self._pending.discard(op_id)
        return DeliveryOutcome((given_up,) if is_waiting else (), None)

    def _pause(self) -> int:
        self._attempt += 1
        self._is_paused = True
        return retry_ms(self._attempt, self._random())
