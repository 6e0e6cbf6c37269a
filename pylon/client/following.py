"""What a client has subscribed to: rows and the values of functions, said to the server. Pure.

The part of the machine between the link and sync. What does not live here: what comes of it
(`machine`, `replica`, `values`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pylon.client import events as ev
from pylon.client.link import Link
from pylon.client.replica import Replica
from pylon.client.values import Values
from pylon.protocol.messages import Subscribe, SubscriptionSpec, Unsubscribe


class Following(Link):
    """Subscriptions over one connection after the other."""

    def __init__(self, random: Callable[[], float]) -> None:
        super().__init__(random)
        self.replica = Replica()
        self.values = Values()

    def _specs(self) -> list[SubscriptionSpec]:
        """Return the subscriptions to rows, which a pull gives too."""
        has_cursor = self.replica.cursor is not None
        return [one.spec(has_cursor=has_cursor) for one in self.replica.subscriptions.values()]

    def _subscribe(self, event: ev.Subscribed) -> None:
        self.replica.subscribe(event.id, event.definition)
        self._say(self.replica.subscriptions[event.id].spec(has_cursor=False))

    def _follow(self, event: ev.Followed) -> None:
        self._say(self.values.follow(event.id, event.fn, event.args))

    def _say(self, spec: SubscriptionSpec) -> None:
        if self._is_open:
            self._send(Subscribe(**msgspec.structs.asdict(spec)))

    def _unsubscribe(self, subscription_id: str) -> None:
        found = self.replica.subscriptions.get(subscription_id)
        if subscription_id in self.values:
            self.values.leave(subscription_id)
            is_known = True  # one that failed may yet heal, so the server has it
        elif found is not None:
            self.replica.unsubscribe(subscription_id)
            is_known = found.phase != "failed"
        else:
            return
        if self._is_open and is_known:
            self._send(Unsubscribe(id=subscription_id))
