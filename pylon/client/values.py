"""The values of query functions that a client follows, as the server last told them. Pure.

They are kept in memory only: after a reconnect each comes anew. What does not live here: rows
(`replica`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.client.compare import key_text
from pylon.protocol.messages import LiveValue, SubscriptionSpec


class FollowedFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A followed call and what it came to: a value, an error, or nothing yet."""

    id: str
    fn: str
    args: dict[str, Any]
    value: Any | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | None = None
    #: The cursor that the value was read at.
    at: str | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether anything was told of it."""
        return self.error is not None or self.value is not msgspec.UNSET


class Values:
    """All that are followed, by subscription."""

    def __init__(self) -> None:
        self._followed: dict[str, FollowedFunction] = {}
        self._is_changed = False

    def get(self, subscription_id: str) -> FollowedFunction | None:
        """Return one, or None."""
        return self._followed.get(subscription_id)

    def all(self) -> list[FollowedFunction]:
        """Return all of them, in the order taken."""
        return list(self._followed.values())

    def __contains__(self, subscription_id: str) -> bool:
        """Tell whether a subscription is to a function."""
        return subscription_id in self._followed

    def follow(self, subscription_id: str, fn: str, args: dict[str, Any]) -> SubscriptionSpec:
        """Take one more; returns how it is said to the server."""
        self._put(FollowedFunction(id=subscription_id, fn=fn, args=args))
        return _spec(self._followed[subscription_id])

    def leave(self, subscription_id: str) -> None:
        """Forget one."""
        del self._followed[subscription_id]
        self._is_changed = True

    def specs(self) -> list[SubscriptionSpec]:
        """Return how all of them are said to the server."""
        return [_spec(one) for one in self._followed.values()]

    def take(self, message: LiveValue) -> None:
        """Take a value; one that is equal to what is held changes nothing that is shown."""
        known = self._followed.get(message.subscription)
        if known is None:
            return
        is_same = known.value is not msgspec.UNSET and same_value(known.value, message.value)
        value = known.value if is_same else message.value
        self._followed[known.id] = msgspec.structs.replace(
            known, value=value, error=None, at=message.at
        )
        self._is_changed = self._is_changed or not is_same

    def fail(self, subscription_id: str, error: dict[str, Any]) -> None:
        """Take an error in the place of a value: what was shown may be hidden now."""
        known = self._followed[subscription_id]
        self._put(msgspec.structs.replace(known, value=msgspec.UNSET, error=error, at=None))

    def reset(self) -> None:
        """Forget what was told: it was told to somebody else."""
        for one in list(self._followed.values()):
            if one.is_ready:
                self._put(FollowedFunction(id=one.id, fn=one.fn, args=one.args))

    def take_change(self) -> bool:
        """Tell whether what is shown changed since this was asked last."""
        is_changed, self._is_changed = self._is_changed, False
        return is_changed

    def _put(self, one: FollowedFunction) -> None:
        self._followed[one.id] = one
        self._is_changed = True


def _spec(one: FollowedFunction) -> SubscriptionSpec:
    return SubscriptionSpec(id=one.id, fn=one.fn, args=one.args or None)


def same_value(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are the same; 1 and true are two."""
    return bool(left == right) and key_text(left) == key_text(right)
