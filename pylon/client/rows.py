"""Rows on their way: what is to be written, and what must not be shown yet.

What does not live here: the rules by which rows change (`replica`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from pylon.client.subscription import Subscription

WireRow = Mapping[str, Any]


class Save(msgspec.Struct, frozen=True, kw_only=True):
    """What one store transaction writes: rows, states and cursor are never apart (I24)."""

    #: Everything stored before goes first.
    reset: bool
    cursor: str | None
    puts: list[tuple[str, dict[str, Any]]]
    deletes: list[tuple[str, str]]
    subscriptions: list[Subscription]


class StoredReplica(msgspec.Struct, frozen=True, kw_only=True):
    """What a store gives back at the start."""

    cursor: str | None
    rows: list[tuple[str, dict[str, Any]]]
    subscriptions: list[Subscription]


def is_row(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether an answer is a row; one that may not be read has `id` and `_seq` alone."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("_seq"), int)
        and len(value) > 2
    )


class Writes:
    """Collects what the next save must write; the last word on each row."""

    def __init__(self) -> None:
        self._puts: dict[tuple[str, str], WireRow] = {}
        self._deletes: dict[tuple[str, str], None] = {}
        self._is_reset = False
        self.is_changed = False

    def put(self, entity: str, row_id: str, row: WireRow) -> None:
        """Write a row."""
        self._deletes.pop((entity, row_id), None)
        self._puts[entity, row_id] = row
        self.is_changed = True

    def delete(self, entity: str, row_id: str) -> None:
        """Remove a row."""
        self._puts.pop((entity, row_id), None)
        self._deletes[entity, row_id] = None
        self.is_changed = True

    def reset(self) -> None:
        """Remove everything first."""
        self._puts.clear()
        self._deletes.clear()
        self._is_reset = self.is_changed = True

    def take(self, cursor: str | None, subscriptions: list[Subscription]) -> Save | None:
        """Return the save since the last one, None where nothing changed."""
        if not self.is_changed:
            return None
        save = Save(
            reset=self._is_reset,
            cursor=cursor,
            puts=[(entity, dict(row)) for (entity, _), row in self._puts.items()],
            deletes=list(self._deletes),
            subscriptions=subscriptions,
        )
        self._puts, self._deletes = {}, {}
        self._is_reset = self.is_changed = False
        return save


class Shown:
    """What readers see of the rows: while holding, the rows as last shown."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, WireRow | None]] | None = None
        self._touched: dict[str, dict[str, None]] = {}
        self.is_state_changed = False

    @property
    def is_holding(self) -> bool:
        """Tell whether rows changed since are kept back."""
        return self._held is not None

    def hold(self) -> None:
        """Show the rows as they are now until `release`."""
        assert self._held is None
        self._held = {}

    def release(self) -> None:
        """Show the rows as they are."""
        for entity, rows in (self._held or {}).items():
            for row_id in rows:
                self.touch(entity, row_id)
        self._held = None
        self.is_state_changed = True

    def note(self, entity: str, row_id: str, before: WireRow | None) -> None:
        """Note that a row is about to change: kept as it was while holding, else shown anew."""
        if self._held is None:
            self.touch(entity, row_id)
        else:
            self._held.setdefault(entity, {}).setdefault(row_id, before)

    def touch(self, entity: str, row_id: str) -> None:
        """Note that a row must be shown anew."""
        self._touched.setdefault(entity, {})[row_id] = None

    def is_held(self, entity: str, row_id: str) -> bool:
        """Tell whether a row is shown as it was."""
        return self._held is not None and row_id in self._held.get(entity, {})

    def held_row(self, entity: str, row_id: str) -> WireRow | None:
        """Return a row as it was."""
        return (self._held or {}).get(entity, {}).get(row_id)

    def held_rows(self, entity: str) -> Iterator[WireRow]:
        """Visit the rows that are shown as they were."""
        for row in (self._held or {}).get(entity, {}).values():
            if row is not None:
                yield row

    def take_touched(self) -> dict[str, dict[str, None]]:
        """Return the ids to be shown anew since the last call, by entity."""
        touched, self._touched = self._touched, {}
        return touched

    def take_state_change(self) -> bool:
        """Tell whether a subscription's state may have changed since the last call."""
        is_changed, self.is_state_changed = self.is_state_changed, False
        return is_changed
