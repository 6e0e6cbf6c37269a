"""What a client asks for, and how far it is hydrated."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from pylon.client.compare import key_text
from pylon.errors import InvalidArgument
from pylon.protocol.change import Cursor, parse_cursor
from pylon.protocol.messages import HaveAfter, SubscriptionSpec


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All rows of an entity that match, or with `limit` the first of an order (a window)."""

    entity: str
    where: dict[str, Any]
    order: list[str] | None = None
    limit: int | None = None

    @property
    def key(self) -> str:
        """Return the text that equal definitions share (ALGORITHMS §3 rule 11)."""
        if self.limit is None:
            # Without a limit, order is the reader's own affair.
            return key_text([self.entity, self.where])
        return key_text([self.entity, self.where, self.order or [], self.limit])


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription with its state; stored with the rows and the cursor."""

    id: str
    definition: Definition
    #: hydrating, done or failed.
    phase: str = "hydrating"
    #: Hydrated up to this row id.
    after: str | None = None
    #: The largest `at` of its pages: exact once the cursor has passed it.
    at: str | None = None
    #: The ids of a window in their order; None for a subscription without limit.
    ids: list[str] | None = None
    version: int = 0
    error: dict[str, Any] | None = None

    def spec(self, *, has_cursor: bool) -> SubscriptionSpec:
        """Return how it is said to the server; `has_cursor`: what is held may be claimed."""
        entity, where = self.definition.entity, self.definition.where
        limit = self.definition.limit
        have: bool | HaveAfter | None = None
        if has_cursor and limit is None:
            if self.phase == "done":
                have = True
            elif self.phase == "hydrating" and self.after is not None:
                have = HaveAfter(self.after)
        return SubscriptionSpec(
            id=self.id,
            entity=entity,
            where=where or None,
            limit=limit,
            order=self.definition.order if limit is not None else None,
            have=have,
        )


def has_reached(cursor: str | None, point: str | None) -> bool:
    """Tell whether `cursor` has reached `point`: same lineage, and not before it."""
    if point is None:
        return True
    here, there = read_cursor(cursor), read_cursor(point)
    if here is None or there is None:
        return False
    return here.epoch == there.epoch and here.seq >= there.seq


def seq_of(cursor: str | None) -> int:
    """Return a cursor's sequence number, 0 for none."""
    found = read_cursor(cursor)
    return 0 if found is None else found.seq


@lru_cache(maxsize=256)
def read_cursor(text: str | None) -> Cursor | None:
    """Return the parts of a cursor, None for none and for what is not one."""
    try:
        return parse_cursor(text)
    except InvalidArgument:
        return None
