"""How often the indexes of a database were used: by the plans of the statements that ran.

Each connection keeps the statements that it ran last, with how often; SQLite says that itself
(`sqlite_stmt`), so that counting costs nothing while they run. Texts only, never values.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from typing import Final

from pylon.server.storage.database import Database
from pylon.sqlite import Error, ProgrammingError, RawConnection, read_alone

_RUNS: Final = "SELECT sql, run FROM sqlite_stmt"
_USING: Final = re.compile(r"USING (?:COVERING )?INDEX (\S+)")
_WALK: Final = re.compile(r"SCAN .* USING COVERING INDEX ")
_WANTED: Final = re.compile(r"uses (\d+)")


async def index_uses(database: Database) -> dict[str, int] | None:
    """Return uses by the name of the index; None where this SQLite does not count statements."""
    runs: Counter[str] = Counter()
    try:
        for found in await database.run_on_each(lambda raw: raw.execute(_RUNS).fetchall()):
            for sql, count in found:
                runs[sql] += count
    except Error:
        return None
    uses: Counter[str] = Counter()
    with closing(read_alone(database.path)) as raw:
        for sql, count in runs.items():
            for name in _indexes_of(raw, sql):
                uses[name] += count
    return dict(uses)


def _indexes_of(raw: RawConnection, sql: str) -> set[str]:
    """Return the indexes in the plan of a statement; none for one that has no plan."""
    explained = f"EXPLAIN QUERY PLAN {sql}"
    parameters: tuple[None, ...] = ()
    try:
        try:
            steps = raw.execute(explained, parameters).fetchall()
        except ProgrammingError as error:
            wanted = _WANTED.search(str(error))
            if wanted is None:
                return set()
            steps = raw.execute(explained, (None,) * int(wanted[1])).fetchall()
    except Error:
        return set()  # a pragma, a BEGIN, or a table that is gone
    # To count all rows SQLite walks through whichever index is smallest: any would do.
    used = [str(detail) for *_, detail in steps if not _WALK.match(str(detail))]
    return {name for detail in used for name in _USING.findall(detail)}
