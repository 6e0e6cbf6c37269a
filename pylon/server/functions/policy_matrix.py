"""The matrix of the running app's policies, worked out on a thread and kept until it changes."""

from __future__ import annotations

import asyncio
from typing import Any

from pylon.app.matrix import build_matrix
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.storage import accounts
from pylon.server.storage.database import Database


class PolicyMatrix:
    """Keeps one matrix: of this generation, and of the roles that accounts have now."""

    def __init__(self, database: Database, definitions: DefinitionHolder) -> None:
        self._database = database
        self._definitions = definitions
        self._known: tuple[Any, dict[str, Any]] | None = None
        self._is_building = asyncio.Lock()

    async def current(self) -> dict[str, Any]:
        """Return the matrix as JSON, with the generation that it is of."""
        granted = await self._database.readers.run(lambda reads: accounts.granted_roles(reads.rows))
        async with self._is_building:
            definition = self._definitions.current
            key = (definition.generation, granted)
            if self._known is None or self._known[0] != key:
                # Proofs take their time: the loop goes on meanwhile.
                matrix = await asyncio.to_thread(build_matrix, definition, granted)
                self._known = (key, {"generation": definition.generation, **matrix.to_json()})
            return self._known[1]
