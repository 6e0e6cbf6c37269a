"""Where a replica is kept: in memory, as long as the process lives."""

from __future__ import annotations

from pylon.client.pending import PendingMutation
from pylon.client.rows import Save, StoredReplica, WireRow
from pylon.client.subscription import Subscription


class MemoryStore:
    """Rows, cursor and subscription states, always written together (I24)."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.principal: str | None = None
        self.subscriptions: list[Subscription] = []
        self._rows: dict[tuple[str, str], WireRow] = {}
        self._pending: dict[str, PendingMutation] = {}

    def save(self, save: Save) -> None:
        """Write what changed."""
        if save.reset:
            self._rows.clear()
        for entity, row_id in save.deletes:
            self._rows.pop((entity, row_id), None)
        for entity, row in save.puts:
            self._rows[entity, row["id"]] = row
        self.cursor = save.cursor
        self.subscriptions = save.subscriptions

    def wipe(self, principal: str | None) -> None:
        """Remove everything but pending mutations; what comes next is this principal's."""
        self._rows.clear()
        self.cursor = None
        self.subscriptions = []
        self.principal = principal

    def load(self) -> StoredReplica:
        """Return what is stored."""
        rows = [(entity, dict(row)) for (entity, _), row in self._rows.items()]
        return StoredReplica(cursor=self.cursor, rows=rows, subscriptions=self.subscriptions)

    def pending_of(self, principal: str | None) -> list[PendingMutation]:
        """Return a principal's mutations, in order."""
        return [one for one in self._pending.values() if one.principal == principal]

    def save_pending(self, mutation: PendingMutation) -> None:
        """Keep a mutation until it is decided."""
        self._pending[mutation.op_id] = mutation

    def drop_pending(self, op_id: str) -> None:
        """Forget a mutation."""
        self._pending.pop(op_id, None)
