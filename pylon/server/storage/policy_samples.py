"""Samples for asking two policies side by side: some callers, some rows, and who gains and loses.

Bounded in every direction, so that it can be asked beside live traffic. What does not live here:
which policies are compared, and what is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylon import jsonvalue, limits
from pylon.policy.sqlclause import SqlClause
from pylon.schema.model import Row
from pylon.server.storage import accounts
from pylon.server.storage.accounts import Account
from pylon.server.storage.readers import ReadConnection

#: Row ids named as examples.
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class RowSample:
    """Some rows of one entity, by their place in the table, and how many it has."""

    entity: str
    places: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How many sampled rows one caller gains and loses, with ids of a few."""

    gained: int
    lost: int
    gained_ids: tuple[str, ...] = ()
    lost_ids: tuple[str, ...] = ()


def sample_accounts(reads: ReadConnection) -> list[Account]:
    """Return a few accounts of each distinct set of roles, the newest first."""
    return accounts.sample_by_roles(
        reads.rows, limits.POLICY_SAMPLE_USERS, limits.POLICY_SAMPLE_USERS_ALL
    )


def sample_rows(reads: ReadConnection, entity: str, random_bytes: bytes) -> RowSample:
    """Return the newest rows of an entity, and others by chance; all of them where they are few."""
    most = limits.POLICY_SAMPLE_ROWS
    ((total, last),) = reads.rows(f'SELECT count(*), coalesce(max(rowid), 0) FROM "{entity}"')
    newest = most if total <= most else most // 2
    found = reads.rows(f'SELECT rowid FROM "{entity}" ORDER BY rowid DESC LIMIT ?', (newest,))
    if total > most:
        step = len(random_bytes) // newest
        wanted = [
            1 + int.from_bytes(random_bytes[at : at + step]) % last
            for at in range(0, step * newest, step)
        ]
        found += reads.rows(
            f'SELECT rowid FROM "{entity}" WHERE rowid IN (SELECT value FROM json_each(?))',
            (jsonvalue.encode_text(wanted),),
        )
    return RowSample(entity, tuple(dict.fromkeys(place for (place,) in found)), total)


def newest_rows(reads: ReadConnection, entity: str, at_most: int) -> list[Row]:
    """Return the newest rows of an entity."""
    table = reads.tables[entity]
    found = reads.rows(f"{table.select_sql} ORDER BY rowid DESC LIMIT ?", (at_most,))
    return [table.row(stored) for stored in found]


def difference(
    reads: ReadConnection, sample: RowSample, old: SqlClause, new: SqlClause
) -> Difference:
    """Return what a caller gains and loses of the sampled rows from one clause to the other."""
    places = jsonvalue.encode_text(list(sample.places))
    source = (
        f"(SELECT t.id AS id, coalesce(({new.text}), 0) AS n, coalesce(({old.text}), 0) AS o"
        f' FROM "{sample.entity}" AS t'
        f" WHERE t.rowid IN (SELECT value FROM json_each(?)))"
    )
    params = (*new.params, *old.params, places)
    ((gained, lost),) = reads.rows(
        f"SELECT coalesce(sum(n > o), 0), coalesce(sum(o > n), 0) FROM {source}", params
    )
    named = [
        tuple(row_id for (row_id,) in reads.rows(
            f"SELECT id FROM {source} WHERE {which} LIMIT {_EXAMPLES}", params
        )) if count else ()
        for count, which in ((gained, "n > o"), (lost, "o > n"))
    ]  # fmt: skip
    return Difference(gained, lost, named[0], named[1])
