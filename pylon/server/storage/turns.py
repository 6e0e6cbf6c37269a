"""What turned by itself, looked up by the times that policies compare with now.

What does not live here: when to look, and what becomes of it (`server.sync.passing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pylon import limits
from pylon.policy.slices import Named, Where
from pylon.policy.timing import TimeRule, Timing
from pylon.schema.times import datetime_ms
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.transaction import Transaction

_KEY: Final = "turned_ms"
NEVER_MS: Final = 2**60


def followed_through(reader: ReadConnection) -> int | None:
    """Return through when turns were followed, Unix ms; None where they never were."""
    stored = meta(reader.raw, _KEY)
    return None if stored is None else int(stored)


def remember(transaction: Transaction, now_ms: int) -> None:
    """Note through when turns were followed, Unix ms."""
    set_meta(transaction.connection, _KEY, now_ms)


def has_turned(reader: ReadConnection, timing: Timing, since: str, until: str) -> bool:
    """Tell whether anything turned between two moments, both included."""
    if any(since <= moment <= until for _, moment in timing.moments):
        return True
    return any(
        reader.rows(
            f'SELECT 1 FROM "{rule.looks_at}" WHERE "{rule.field}" BETWEEN ? AND ? LIMIT 1',
            rule.between(since, until),
        )
        for rule in timing.rules
    )


def next_turn(reader: ReadConnection, timing: Timing, after: str) -> int:
    """Return when the next turn is, Unix ms: just after the time that it is at."""
    found = [datetime_ms(moment) for _, moment in timing.moments if moment > after]
    for rule in timing.rules:
        _, bound = rule.between(after, after)
        ((moment,),) = reader.rows(
            f'SELECT min("{rule.field}") FROM "{rule.looks_at}" WHERE "{rule.field}" > ?', (bound,)
        )
        if moment is not None:
            found.append(datetime_ms(moment) - rule.ms)
    return min(found, default=NEVER_MS - 1) + 1


def turned(
    transaction: Transaction, timing: Timing, since: str, until: str
) -> Iterator[tuple[str, Where, Named]]:
    """Yield what turned between two moments, both included: a turn is at its time or just after."""
    for entity, moment in timing.moments:
        if since <= moment <= until:
            yield entity, (), ()
    for rule in timing.rules:
        yield from _turned_by(transaction, rule, since, until)


def _turned_by(
    transaction: Transaction, rule: TimeRule, since: str, until: str
) -> Iterator[tuple[str, Where, Named]]:
    table = transaction.tables[rule.looks_at]
    most = limits.TRANSACTION_ROWS_MAX
    rows = transaction.select(
        f'{table.select_sql} WHERE "{rule.field}" BETWEEN ? AND ? LIMIT ?',
        (*rule.between(since, until), most + 1),
    )
    if len(rows) > most:
        yield rule.entity, (), ()
        return
    for stored in rows:
        key = rule.key(table.row(stored))
        if key is not None:
            yield rule.entity, *key
