"""Where a replica is kept between visits: the seam, and memory, as long as the process lives.

A store is handed the machine's own commands. What does not live here: SQLite (`store_sqlite`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pylon.client import events as ev
from pylon.client.pending import PendingMutation
from pylon.client.rows import StoredReplica, WireRow
from pylon.client.subscription import Subscription
from pylon.protocol.manifest import Manifest

#: What a store writes.
StoreCommand = ev.SaveReplica | ev.Wipe | ev.SavePending | ev.DropPending | ev.ManifestKnown


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a store held when it was opened."""

    client_id: str | None = None
    #: Whose it is; UNSET where nothing was stored.
    principal: str | msgspec.UnsetType | None = msgspec.UNSET
    replica: StoredReplica | msgspec.UnsetType = msgspec.UNSET
    pending: list[PendingMutation] = []
    manifest: Manifest | msgspec.UnsetType = msgspec.UNSET


class Store(Protocol):
    """Rows, cursor and subscription states, always written together (I24), and what waits."""

    async def open(self, client_id: str, caller: str | None = None) -> Kept:
        """Open it; return what it holds.

        Args:
            client_id: kept where there was none.
            caller: stands for who opens it. What another left, but for what waits, is removed
                before anything is returned; None asks nothing.
        """
        ...

    async def write(self, commands: Sequence[StoreCommand]) -> None:
        """Carry out commands, all of them or none."""
        ...

    async def pending_of(self, principal: str | None) -> list[PendingMutation]:
        """Return a principal's mutations, in the order made."""
        ...

    async def close(self) -> None:
        """Give it up."""
        ...


class MemoryStore:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._client_id: str | None = None
        self._caller: str | None = None
        self._principal: str | msgspec.UnsetType | None = msgspec.UNSET
        self._cursor: str | None = None
        self._subscriptions: list[Subscription] = []
        self._rows: dict[tuple[str, str], WireRow] = {}
        self._pending: dict[str, PendingMutation] = {}
        self._manifest: Manifest | msgspec.UnsetType = msgspec.UNSET

    async def open(self, client_id: str, caller: str | None = None) -> Kept:
        """Return what it holds: nothing the first time, nor to another caller."""
        self._client_id = self._client_id or client_id
        if caller is not None and caller != self._caller:
            self._carry_out(ev.Wipe(principal=None))
            self._principal = msgspec.UNSET
            self._caller = caller
        if isinstance(self._principal, msgspec.UnsetType):
            return Kept(client_id=self._client_id, manifest=self._manifest)
        rows = [(entity, dict(row)) for (entity, _), row in self._rows.items()]
        return Kept(
            client_id=self._client_id,
            principal=self._principal,
            replica=StoredReplica(
                cursor=self._cursor, rows=rows, subscriptions=self._subscriptions
            ),
            pending=await self.pending_of(self._principal),
            manifest=self._manifest,
        )

    async def write(self, commands: Sequence[StoreCommand]) -> None:
        """Carry out commands."""
        for command in commands:
            self._carry_out(command)

    def _carry_out(self, command: StoreCommand) -> None:
        match command:
            case ev.SaveReplica(save=save):
                if save.reset:
                    self._rows.clear()
                for entity, row_id in save.deletes:
                    self._rows.pop((entity, row_id), None)
                for entity, row in save.puts:
                    self._rows[entity, row["id"]] = row
                self._cursor, self._subscriptions = save.cursor, save.subscriptions
            case ev.Wipe(principal=principal):
                self._rows.clear()
                self._cursor, self._subscriptions = None, []
                self._principal = principal
            case ev.SavePending(mutation=mutation):
                self._pending[mutation.op_id] = mutation
            case ev.DropPending(op_id=op_id):
                self._pending.pop(op_id, None)
            case ev.ManifestKnown(manifest=manifest):
                self._manifest = manifest

    async def pending_of(self, principal: str | None) -> list[PendingMutation]:
        """Return a principal's mutations, in order."""
        return [one for one in self._pending.values() if one.principal == principal]

    async def close(self) -> None:
        """Keep what is held: the object may be opened again."""
