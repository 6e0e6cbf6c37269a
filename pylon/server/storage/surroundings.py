"""What the writer needs of the database around it."""

from __future__ import annotations

from typing import Protocol

from pylon.server.storage.transaction import Transaction
from pylon.sqlite import Connection


class Storage(Protocol):
    """What the writer needs of the database around it."""

    head: int

    def new_transaction(self) -> Transaction:
        """Return a transaction over the current schema."""
        ...

    def new_id(self) -> str:
        """Return a new id."""
        ...

    def has_room(self) -> bool:
        """Tell whether the disk has room enough to try again."""
        ...

    async def recover(self) -> Connection:
        """Close everything, open it again, verify, and return the new writer connection."""
        ...
