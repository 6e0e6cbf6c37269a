"""One statement of the owner's own, on a connection that can't write.

What it may touch is asked of SQLite itself, as it compiles the statement: no text is searched for
words. Rows of the app's entities are open, private fields too, because they are the owner's; of our
own tables only those that hold nothing that signs anybody in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pylon import limits_data
from pylon.clock import Clock
from pylon.errors import FunctionTimeout, InvalidArgument
from pylon.server.storage.readers import Readers
from pylon.sqlite import (
    SQLITE_DENY,
    SQLITE_ERROR,
    SQLITE_FUNCTION,
    SQLITE_INTERRUPT,
    SQLITE_LIMIT_LENGTH,
    SQLITE_OK,
    SQLITE_READ,
    SQLITE_RECURSIVE,
    SQLITE_SELECT,
    Cursor,
    Error,
    RawConnection,
    StatementWarning,
)  # fmt: skip

#: Of our own tables what is open here; a name behind a point is a column that is not.
OPEN_TABLES: Final = frozenset({
    "_pylon_log", "_pylon_accounts", "_pylon_clients", "_pylon_jobs", "_pylon_queues",
    "_pylon_schedules", "_pylon_files", "_pylon_file_owners", "_pylon_workflows",
    "_pylon_journal", "_pylon_migrations", "sqlite_master", "sqlite_schema", "dbstat",
    "json_each", "json_tree",
})  # fmt: skip
#: Arguments of jobs hold codes and links that are mailed.
CLOSED_COLUMNS: Final = frozenset({("_pylon_jobs", "args")})
_DECLARED_LATE: Final = ("json_each('[]')", "json_tree('[]')", "dbstat")
_CLOSED_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer", "sqlite_log"})
#: So often it is looked whether the time is over: a step may build a large text.
_PROGRESS_STEPS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlAnswer:
    """What a statement found: values as JSON has them, in the order of `columns`."""

    columns: list[str]
    rows: list[list[Any]]
    #: There is more than was taken.
    more: bool
    #: Cells that were cut.
    cut: int
    #: How long it took, in milliseconds.
    ms: float
    #: Lines of SQLite's plan, (depth, text); None for a statement that has none, or was not asked.
    plan: list[tuple[int, str]] | None

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "columns": self.columns, "rows": self.rows, "more": self.more, "cut": self.cut,
            "ms": round(self.ms, 2), "plan": self.plan,
        }  # fmt: skip


async def ask_sql(
    readers: Readers, clock: Clock, entities: Iterable[str], sql: str, *,
    limit: int = limits_data.SQL_ROWS_MAX, with_plan: bool = False,
) -> SqlAnswer:  # fmt: skip
    """Run one SELECT (WITH, VALUES, EXPLAIN) in one read transaction.

    Args:
        readers: opens a connection for it alone.
        clock: measures, and ends it after `SQL_SECONDS`.
        entities: the tables of the app.
        sql: the statement.
        limit: rows to answer at most.
        with_plan: ask for the plan, too.

    Raises InvalidArgument for what is no such statement, FunctionTimeout, and Unavailable where
    too many run. Whoever leaves stops it.
    """
    is_left = threading.Event()
    deadline = clock.monotonic() + limits_data.SQL_SECONDS
    guard = Guard(entities)

    def work(raw: RawConnection) -> SqlAnswer:
        guard.learn(raw)
        raw.text_factory = lambda data: data.decode("utf-8", "replace")
        raw.setlimit(SQLITE_LIMIT_LENGTH, limits_data.SQL_VALUE_BYTES_MAX)
        raw.execute("BEGIN")
        raw.set_authorizer(guard.judge)
        raw.set_progress_handler(
            lambda: int(is_left.is_set() or clock.monotonic() > deadline), _PROGRESS_STEPS
        )
        started = clock.monotonic()
        taken = _Taken(raw.execute(sql), limit)
        ms = (clock.monotonic() - started) * 1000
        plan = _plan_of(raw, sql) if with_plan else None
        return SqlAnswer(
            columns=taken.columns, rows=taken.rows, more=taken.more, cut=taken.cut, ms=ms, plan=plan
        )

    async with readers.own_connection() as connection:
        try:
            return await connection.run(work)
        except (Error, StatementWarning, ValueError, OverflowError) as error:
            raise _refusal(error, guard) from error
        finally:
            is_left.set()


def _refusal(error: Exception, guard: Guard) -> FunctionTimeout | InvalidArgument:
    """Return what a person reads about a statement that was not run."""
    if getattr(error, "sqlite_errorcode", None) == SQLITE_INTERRUPT:
        return FunctionTimeout(
            f"the statement took longer than {limits_data.SQL_SECONDS:g} s",
            hint="narrow it by an index, or add a LIMIT; the plan says what it looks at",
        )
    if guard.refused:
        return InvalidArgument(
            guard.refused, field="sql", hint="this line reads: one SELECT, WITH or EXPLAIN"
        )
    return InvalidArgument(f"SQLite: {error}", field="sql", hint=_next_step(str(error)))


def _next_step(said: str) -> str:
    """Return where to look after a statement that SQLite does not take."""
    if "no such table" in said:
        return "each entity is a table of its name: `pylon schema` lists them"
    if "no such column" in said:
        return "`pylon schema ENTITY` lists the fields; a text stands in 'single quotes'"
    return "one SELECT, WITH or EXPLAIN of SQLite, such as: SELECT count(*) FROM User"


class Guard:
    """Says of each thing that a statement touches whether it may."""

    def __init__(self, entities: Iterable[str]) -> None:
        self._open = OPEN_TABLES | {one.lower() for one in entities}
        self._tables: frozenset[str] = frozenset()
        #: Why something was refused first; empty where nothing was.
        self.refused = ""

    def learn(self, raw: RawConnection) -> None:
        """Take which tables there are."""
        names = raw.execute("SELECT lower(name) FROM sqlite_schema").fetchall()
        self._tables = frozenset(one for (one,) in names)
        # These declare themselves where they are first named, which would look like a change.
        for name in _DECLARED_LATE:
            raw.execute(f"SELECT 1 FROM {name} LIMIT 0").fetchall()

    def judge(
        self, action: int, first: str | None, second: str | None, _: str | None, __: str | None
    ) -> int:
        """Answer SQLite's authorizer."""
        if action in (SQLITE_SELECT, SQLITE_RECURSIVE):
            return SQLITE_OK
        if action == SQLITE_READ:
            return self._read((first or "").lower(), (second or "").lower())
        if action == SQLITE_FUNCTION:
            name = (second or "").lower()
            return self._no(f"{name}() is closed") if name in _CLOSED_FUNCTIONS else SQLITE_OK
        return self._no("nothing is changed here, and no setting is asked")

    def _read(self, table: str, column: str) -> int:
        # Without a column a name may be that of a WITH: what stands there is judged by itself.
        if not column and table not in self._tables and not table.startswith(("sqlite_", "pragma")):
            return SQLITE_OK
        if table not in self._open:
            return self._no(f"the table {table} is closed here")
        if (table, column) in CLOSED_COLUMNS:
            return self._no(f"{table}.{column} is closed here: name the other columns")
        return SQLITE_OK

    def _no(self, why: str) -> int:
        self.refused = self.refused or why
        return SQLITE_DENY


class _Taken:
    """Rows as far as the answer has room."""

    def __init__(self, found: Cursor, limit: int) -> None:
        if found.description is None:
            raise ValueError("there is no statement")
        self.columns = [str(one[0]) for one in found.description]
        self.rows: list[list[Any]] = []
        self.more, self.cut = False, 0
        room = limits_data.SQL_ANSWER_BYTES_MAX
        for row in found:
            if len(self.rows) == limit or room <= 0:
                self.more = True
                return
            values = [self._shown(one) for one in row]
            room -= sum(len(one) if isinstance(one, str) else 8 for one in values)
            self.rows.append(values)

    def _shown(self, value: Any) -> Any:
        """Return a value as JSON has it: a blob as SQL writes it, a long text cut."""
        most = limits_data.SQL_CELL_CHARACTERS_MAX
        if isinstance(value, bytes):
            value = f"x'{value[:most].hex()}'"
        if isinstance(value, float) and value - value != 0:
            return str(value)  # JSON has no infinity
        if isinstance(value, str) and len(value) > most:
            self.cut += 1
            return f"{value[:most]}…"
        return value


def _plan_of(raw: RawConnection, sql: str) -> list[tuple[int, str]] | None:
    try:
        lines = raw.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    except Error as error:
        if getattr(error, "sqlite_errorcode", None) == SQLITE_ERROR:
            return None  # it is an EXPLAIN itself
        raise
    depths: dict[int, int] = {0: -1}
    plan = []
    for number, parent, _, text in lines:
        depths[number] = depths.get(parent, -1) + 1
        plan.append((depths[number], str(text)))
    return plan
