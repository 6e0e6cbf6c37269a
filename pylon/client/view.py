"""The view: the replica's rows with the pending mutations replayed over them."""

from __future__ import annotations

from collections.abc import Iterator

from pylon.client.pending import Pending, replay
from pylon.client.replica import Replica
from pylon.client.rows import WireRow


class View:
    """What the app reads."""

    def __init__(self, replica: Replica, pending: Pending) -> None:
        self._replica = replica
        self._pending = pending

    def row(self, entity: str, row_id: str) -> WireRow | None:
        """Return one row as the app sees it."""
        base = self._replica.row(entity, row_id)
        return replay(base, self._pending.effects_on(entity, row_id))

    def rows(self, entity: str) -> Iterator[WireRow]:
        """Visit the rows of an entity as the app sees them."""
        ids = {row["id"]: None for row in self._replica.rows(entity)}
        for row_id in ids | dict.fromkeys(self._pending.ids_touched(entity)):
            row = self.row(entity, row_id)
            if row is not None:
                yield row

    def take_changes(self) -> list[tuple[str, list[str]]] | None:
        """Return the ids that may show otherwise since the last call; None for nothing at all."""
        touched = self._replica.take_touched()
        for entity, ids in self._pending.take_touched().items():
            touched.setdefault(entity, {}).update(ids)
        if not self._replica.take_state_change() and not touched:
            return None
        return [(entity, list(ids)) for entity, ids in touched.items()]
