"""The SQL line: it reads what is the owner's, writes nothing, and ends in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon import limits_data
from pylon.client.admin import AdminClient, AdminError
from pylon.server.storage.sql_line import OPEN_TABLES
from pylon.server.storage.system_tables import STATEMENTS
from pylon.testing import running
from pylon.testing.harness import Running
from pylon.testing.inprocess import URL
from tests.integration.test_admin_data import APP

#: What signs somebody in, or says what a request was answered.
CLOSED = (
    "_pylon_sessions", "_pylon_codes", "_pylon_passwords", "_pylon_totp", "_pylon_recovery",
    "_pylon_identities", "_pylon_departures", "_pylon_ops", "_pylon_meta", "_pylon_uploads",
    "_pylon_signals",
)  # fmt: skip


class Line:
    """The owner's line to a runtime."""

    def __init__(self, harness: Running, admin: AdminClient) -> None:
        self.harness = harness
        self.admin = admin

    async def ask(self, sql: str, **more: Any) -> dict[str, Any]:
        """Ask a statement."""
        return await self.admin.post("admin/sql", {"sql": sql, **more})

    async def refused(self, sql: str) -> str:
        """Ask what must be refused; return the words."""
        with pytest.raises(AdminError) as raised:
            await self.ask(sql)
        assert raised.value.code == "INVALID_ARGUMENT", sql
        return str(raised.value)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """Serve an app with three tasks."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as harness:
        admin = AdminClient(URL, token=harness.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=harness.network.connector("owner"))
        ada = await harness.user("ada@example.com")
        for n in range(3):
            values = {"title": f"task {n}", "ownerId": ada.user_id, "rank": n}
            await admin.post("admin/data/Task", {"id": f"t{n}", "values": values})
        yield Line(harness, admin)
        await admin.close()


async def test_a_select_is_answered_with_columns_rows_time_and_plan(line: Line) -> None:
    """Columns in their order, doubled names too; the plan names the index."""
    found = await line.ask("SELECT id, rank, rank AS id FROM Task WHERE rank > 0", plan=True)
    assert found["columns"] == ["id", "rank", "id"]
    assert found["rows"] == [["t1", 1, 1], ["t2", 2, 2]]
    assert (found["more"], found["cut"]) == (False, 0)
    assert found["ms"] >= 0
    assert any("Task_by_rank" in text or "INDEX" in text for _, text in found["plan"])
    found = await line.ask("SELECT code FROM Task LIMIT 1")
    assert found["rows"] == [["hush-canary"]]
    assert found["plan"] is None
    for sql, first in (
        ("WITH two AS (SELECT 1 UNION SELECT 2) SELECT count(*) FROM two", [2]),
        ("VALUES (1, 'x')", [1, "x"]), ("SELECT x'00ff', 9e999, NULL", ["x'00ff'", "inf", None]),
        ("SELECT count(*) FROM _pylon_log", [4]), ("SELECT value FROM json_each('[7]')", [7]),
        ("SELECT count(*) FROM _pylon_accounts", [1]),
        ("SELECT CAST(x'ff41' AS TEXT)", ["\ufffdA"]),
        ("SELECT count(*) > 0 FROM dbstat", [1]),
    ):  # fmt: skip
        assert (await line.ask(sql))["rows"][0] == first, sql
    found = await line.ask("EXPLAIN SELECT 1", plan=True)
    assert found["plan"] is None
    assert found["rows"]


async def test_nothing_but_one_statement_that_reads_is_run(line: Line) -> None:
    """Every other kind of statement is refused by SQLite's own judgement, and changes nothing."""
    for sql in (
        "DELETE FROM Task", "UPDATE Task SET rank = 1", "INSERT INTO Task (id) VALUES ('x')",
        "REPLACE INTO Task (id) VALUES ('x')", "DROP TABLE Task", "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x AS SELECT 1", "ALTER TABLE Task ADD COLUMN z", "VACUUM INTO '/tmp/x'",
        "PRAGMA query_only = OFF", "PRAGMA table_info(Task)", "ATTACH '/tmp/x.db' AS x", "COMMIT",
        "ROLLBACK", "SAVEPOINT x", "REINDEX", "ANALYZE", "EXPLAIN DELETE FROM Task",
        "EXPLAIN QUERY PLAN UPDATE Task SET rank = 1", "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM Task", "SELECT load_extension('x')", "SELEC 1", "-- nothing",
        "SELECT",
        "SELECT * FROM pragma_table_info('Task')", "SELECT * FROM sqlite_dbpage", "SELECT nothing",
        "WITH x AS (SELECT 1) DELETE FROM Task", "SELECT zeroblob(100000000)",
    ):  # fmt: skip
        await line.refused(sql)
    assert (await line.ask("SELECT count(*) FROM Task"))["rows"] == [[3]]
    with pytest.raises(AdminError, match="one statement"):
        await line.ask(" ")
    with pytest.raises(AdminError, match="limit is 1 to"):
        await line.ask("SELECT 1", limit=0)


async def test_what_signs_somebody_in_is_closed_whatever_way_it_is_asked(line: Line) -> None:
    """Tables of secrets by name, alias, join, subquery, WITH, count; and arguments of jobs."""
    for table in CLOSED:
        for sql in (
            "SELECT * FROM {}", "SELECT count(*) FROM {}", "SELECT a.* FROM Task, {} AS a",
            "SELECT (SELECT max(rowid) FROM {}) FROM Task",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM {})",
            "WITH x AS (SELECT * FROM {}) SELECT * FROM x", "SELECT 1 FROM main.{}",
            "SELECT 1 FROM \"{}\"", "SELECT 1 UNION SELECT count(*) FROM {}",
            "EXPLAIN SELECT * FROM {}",
        ):  # fmt: skip
            for name in (table, table.upper()):
                said = await line.refused(sql.format(name))
                assert "is closed here" in said or "no such column" in said, said
    for sql in ("SELECT args FROM _pylon_jobs", "SELECT * FROM _pylon_jobs",
                "SELECT 1 FROM _pylon_jobs WHERE args LIKE '%a%'"):  # fmt: skip
        assert "_pylon_jobs.args is closed" in await line.refused(sql)
    assert (await line.ask("SELECT count(*), max(state) FROM _pylon_jobs"))["rows"]


def test_every_table_of_our_own_is_open_or_closed_on_purpose() -> None:
    """A new system table is put on one of the two lists."""
    names = {
        one.split("IF NOT EXISTS ")[1].split()[0] for one in STATEMENTS if "CREATE TABLE" in one
    }
    assert names == {one for one in OPEN_TABLES if one.startswith("_pylon")} | set(CLOSED)


async def test_it_ends_in_time_and_when_its_caller_leaves(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endless statement is interrupted; the place it took is free again."""
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    readers = line.harness.runtime.services.database.readers
    asking = [asyncio.ensure_future(line.ask(endless)) for _ in range(4)]
    while readers._own < limits_data.OWN_READERS_MAX:
        await asyncio.sleep(0.01)
    with pytest.raises(AdminError, match="too many long reads") as raised:
        await line.ask("SELECT 1")
    assert raised.value.code == "UNAVAILABLE"
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    while readers._own:
        await asyncio.sleep(0.01)
    monkeypatch.setattr(limits_data, "SQL_SECONDS", -1.0)
    with pytest.raises(AdminError, match="took longer") as raised:
        await line.ask(endless)
    assert raised.value.code == "FUNCTION_TIMEOUT"
    assert readers._own == 0


async def test_long_answers_are_cut_and_say_so(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows by the limit, bytes by the answer's, characters by the cell's."""
    count = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 50) SELECT {} FROM n"
    )
    found = await line.ask(count.format("x"), limit=10)
    assert (len(found["rows"]), found["more"]) == (10, True)
    found = await line.ask(count.format("x"), limit=50)
    assert (len(found["rows"]), found["more"]) == (50, False)
    found = await line.ask(count.format("printf('%.30000c', 'a')"), limit=2)
    assert found["cut"] == 2
    assert len(found["rows"][0][0]) == limits_data.SQL_CELL_CHARACTERS_MAX + 1
    monkeypatch.setattr(limits_data, "SQL_ANSWER_BYTES_MAX", 100)
    found = await line.ask(count.format("'0123456789'"))
    assert (len(found["rows"]), found["more"]) == (10, True)
