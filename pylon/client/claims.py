"""Which rows the subscriptions want, and which of those the server has vouched for.

A row may be here for a subscription that the server has not read yet: it came for another one that
is gone since, or was kept from it. Nobody tells of its end then, so such rows are doubted until a
page of the new subscription has passed their id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pylon.client.fields import Fields
from pylon.client.filters import Predicate, compile_filter
from pylon.client.rows import WireRow
from pylon.client.subscription import Subscription


class Claims:
    """What a replica's subscriptions want of rows; it looks at them, and changes none."""

    def __init__(self, subscriptions: Mapping[str, Subscription]) -> None:
        self._subscriptions = subscriptions
        self._predicates: dict[str, Predicate] = {}
        #: Rows as they were when no filter matched them any more, kept by windows alone.
        self._filtered: set[tuple[str, str]] = set()
        self._doubted: dict[str, set[str]] = {}

    def compile(self, subscription: Subscription, fields: Fields) -> None:
        """Learn what a subscription asks for."""
        definition = subscription.definition
        self._predicates[subscription.id] = compile_filter(
            definition.where, definition.entity, fields
        )

    def forget(self, subscription_id: str) -> None:
        """Forget a subscription that is gone."""
        self._predicates.pop(subscription_id)

    def matches(self, subscription_id: str, row: WireRow) -> bool:
        """Tell whether the filter of a subscription matches a row."""
        return self._predicates[subscription_id](row)

    def keeps(self, entity: str, row: WireRow) -> bool:
        """Tell whether a row is wanted; one that nobody vouches for is doubted from here on."""
        row_id = row["id"]
        is_listed = self.is_listed(entity, row_id)
        if (entity, row_id) in self._filtered:
            return is_listed
        is_matched = False
        for one in self._subscriptions.values():
            # A window wants what it lists, not all that its filter matches (rule 16); what failed
            # is told of nothing and holds nothing.
            is_open = one.definition.entity == entity and one.definition.limit is None
            if is_open and one.phase != "failed" and self._predicates[one.id](row):
                is_matched = True
                if one.phase == "done" or (one.after is not None and row_id <= one.after):
                    return True
        if is_matched:
            self._doubted.setdefault(entity, set()).add(row_id)
        return is_matched or is_listed

    def is_listed(self, entity: str, row_id: str) -> bool:
        """Tell whether a window lists a row."""
        return any(
            one.definition.entity == entity and one.ids is not None and row_id in one.ids
            for one in self._subscriptions.values()
        )

    def listed(self, entity: str) -> list[str]:
        """Return the ids that windows list of an entity."""
        found = self._subscriptions.values()
        return [
            row_id for one in found if one.definition.entity == entity for row_id in one.ids or ()
        ]

    def leave_to_windows(self, entity: str, row_id: str) -> None:
        """Note that no filter matches the row any more, as it is here."""
        self._filtered.add((entity, row_id))

    def settle(self, entity: str, row_id: str) -> None:
        """Note that the server has sent a row as it is, or that it is gone."""
        self._filtered.discard((entity, row_id))
        self._doubted.get(entity, set()).discard(row_id)

    def passed(self, entity: str, after: str | None, last: str | None) -> Iterator[str]:
        """Visit the doubted ids in (after, last], whose page has come; None: without bound."""
        for row_id in sorted(self._doubted.get(entity, ())):
            if (after is None or row_id > after) and (last is None or row_id <= last):
                yield row_id

    def clear(self) -> None:
        """Forget all that is known of rows."""
        self._filtered.clear()
        self._doubted.clear()
