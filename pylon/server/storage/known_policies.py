"""What policies meant when the log was last written under them: a change of that is a slice.

Kept in the database, so that a policy that changed while nothing ran is noticed at the next start
just as one that changes with a reload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pylon import jsonvalue
from pylon.policy.slices import Slice, SliceRule
from pylon.server.storage.database import Database
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.transaction import Transaction

_KEY: Final = "read_meanings"


async def use_policies(
    database: Database, rules: Mapping[str, tuple[SliceRule, ...]], meanings: Mapping[str, str]
) -> list[str]:
    """Derive slices by these rules from now on; returns the entities seen differently than before.

    Each of them gets a slice of all its rows, for everybody: replicas that are connected follow
    at once, others when they come back. Writes of what others wait for are judged by the new rules
    from the first moment on; the caller has put its policies into use in the same step.

    Args:
        database: whose log gets the slices.
        rules: what changes of an entity show or hide of others.
        meanings: by entity, a text that changes with who may see what of it.
    """
    database.slice_rules = rules
    text = meta(database.readers.inline.raw, _KEY)
    known: Mapping[str, str] = {} if text is None else jsonvalue.decode_trusted(text)
    if known == meanings:
        return []
    changed = [
        name for name, meaning in meanings.items()
        # Of a database that an older release wrote nobody knows what its replicas saw.
        if (name in known or (text is None and database.head > 0)) and known.get(name) != meaning
    ]  # fmt: skip

    def work(transaction: Transaction) -> None:
        transaction.cause = "reload"
        for name in changed:
            transaction.append_slice(Slice(name, (), None))
        set_meta(transaction.connection, _KEY, jsonvalue.encode_text(dict(meanings)))

    await database.writer.submit(work)
    return changed


def forget_policies(transaction: Transaction) -> None:
    """Have the next start show every entity anew: its rows changed while no policy was at hand.

    What those changes show or hide of other rows nobody derived; a slice of everything says it.
    """
    transaction.execute("DELETE FROM _pylon_meta WHERE key = ?", (_KEY,))
