"""What turned by itself, looked up by the times that policies compare with now.

What does not live here: when to look, and what becomes of it (`server.sync.passing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pylon import limits
from pylon.clock import iso_ms
from pylon.policy.slices import Named, Where
from pylon.policy.timing import TURN_SLACK_MS, TimeRule, Timing
from pylon.schema.times import datetime_ms
from pylon.server.storage.change_log import newest_ms
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.readers import ReadConnection
from pylon.server.storage.tables import EntityTable
from pylon.server.storage.transaction import Transaction

_KEY: Final = "turned_ms"
_ASKED: Final = "asked_ms"
NEVER_MS: Final = 2**60


def followed_through(reader: ReadConnection) -> int | None:
    """Return through when turns were followed, Unix ms; None where they never were."""
    stored = meta(reader.raw, _KEY)
    return None if stored is None else int(stored)


def asked_through(reader: ReadConnection) -> int:
    """Return the last time known at which policies were asked for replicas, Unix ms."""
    return max(int(meta(reader.raw, _ASKED) or 0), newest_ms(reader.raw) or 0)


def remember(transaction: Transaction, now_ms: int, asked_ms: int) -> None:
    """Note through when turns were followed, and when policies were last asked, Unix ms."""
    set_meta(transaction.connection, _KEY, now_ms)
    set_meta(transaction.connection, _ASKED, asked_ms)


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
        yield from _turned_by(transaction.tables, transaction.select, rule, since, until)


def ahead_of_the_log(
    reader: ReadConnection, rules: Iterable[TimeRule], now: str
) -> list[tuple[str, Where, Named]]:
    """Return what turned by rows that are looked at, and is not in the log yet.

    Policies are asked at this moment: they know of it already.
    """
    since_ms = None
    found: list[tuple[str, Where, Named]] = []
    for rule in rules:
        if rule.rule is None:
            continue
        if since_ms is None:
            stored_ms = followed_through(reader)
            since_ms = datetime_ms(now) - TURN_SLACK_MS if stored_ms is None else stored_ms
        found += _turned_by(reader.tables, reader.rows, rule, iso_ms(since_ms), now)
    return found


def _turned_by(
    tables: Mapping[str, EntityTable], select: Callable[[str, tuple[Any, ...]], list[Any]],
    rule: TimeRule, since: str, until: str,
) -> Iterator[tuple[str, Where, Named]]:  # fmt: skip
    table = tables[rule.looks_at]
    most = limits.TRANSACTION_ROWS_MAX
    rows = select(
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
