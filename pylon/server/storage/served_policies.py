"""The policies that were served last, remembered in the database, and held against the next ones.

In production only: a start or a reload that may let anonymous callers do more than before is
refused until the owner says that it is meant.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.app.widening import policy_texts, widenings
from pylon.errors import PylonError
from pylon.server.storage.lineage import meta, set_meta

if TYPE_CHECKING:
    from pylon.server.storage.database import Database

_KEY = "policies"


class ServedPolicies:
    """What the database remembers of the policies served last; `accepts` takes any change."""

    def __init__(self, database: Database, *, accepts: bool) -> None:
        self._database = database
        self._accepts = accepts

    async def demand(self, definition: AppDefinition) -> None:
        """Raise PylonError where the new policies may widen access for anonymous callers."""
        if self._accepts:
            return
        stored = await self._database.run_on_writer(lambda raw: meta(raw, _KEY))
        if stored is None:
            return  # nothing was served yet
        # Proofs take their time: who is connected goes on meanwhile.
        before = jsonvalue.parse(stored.encode())
        found = await asyncio.to_thread(widenings, before, definition)
        if not found:
            return
        raise PylonError(
            "these changes may let callers who are not signed in do more than before:\n"
            + "\n".join(one.render() for one in found),
            hint="if that is meant: pylon serve --accept-policy-change; else mend the policies",
        )

    async def remember(self, definition: AppDefinition) -> None:
        """Take these policies for the ones served last."""
        text = jsonvalue.encode_text(policy_texts(definition))
        await self._database.writer.submit(
            lambda transaction: set_meta(transaction.connection, _KEY, text)
        )
        self._accepts = False  # a consent is for one change
