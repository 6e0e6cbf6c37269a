"""One project over many faults, and what must hold after each of them.

Nothing acknowledged is lost (I1) or torn (I3), tables are the fold of the log (I4), what had no
answer happened once or not at all (I5), recovery ends in what the files said (I8), no number means
two things (I13), and an answer stays the same (I38-I40).
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

from pylon import jsonvalue
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.verify import verify
from pylon.testing.crash_points import STARTING
from tests.integration.killing import ACCOUNTS, APP, Driver, Journal, KilledProject

KILL_AGAIN = 0.3
FULL_CHECK_EVERY = 5


class World:
    """One project over many kills."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        project = folder / "app"
        project.mkdir(parents=True)
        (project / "app.py").write_text(APP)
        self.served = KilledProject(project, folder / "state")
        self.journal = Journal(folder / "journal")
        self.driver = Driver(self.served, self.journal, seed)
        self.kills = 0
        self._recoveries = 0
        self.epoch = ""
        self._checked = 0

    async def found(self) -> None:
        await self.served.start()
        await self.driver.found()
        self.epoch = (await self.head()).partition(":")[0]

    async def close(self) -> None:
        await self.served.close()
        self.journal.close()

    async def head(self) -> str:
        head: str = (await self.served.anonymous().get("/api/health")).body["head"]
        return head

    @property
    def database(self) -> Path:
        return self.served.project / ".pylon" / "app.db"

    # --- killing

    async def kill_at_random(self) -> None:
        """Work a while, then die at no chosen moment."""
        load = self.driver.load()
        await asyncio.sleep(self.chance.uniform(0, 0.06))
        await self.served.stop(signal.SIGKILL)
        await asyncio.gather(*load)
        self.kills += 1

    async def kill_at(self, label: str, number: int) -> None:
        """Start, work, and die where `label` is passed for the n-th time."""
        code = await self.served.start_until(f"{label}:{number}")
        load = self.driver.load() if code is None else []
        assert await self.served.killed(20), f"{label}:{number} is not passed under this load"
        await asyncio.gather(*load)
        self.kills += 1

    async def recover(self) -> None:
        """Start, perhaps dying meanwhile, and check what is there then."""
        expected = state_of_copy(self.database, self.folder / "copy", self._checked)
        while self.chance.random() < KILL_AGAIN:
            await self._die_in_recovery()
            self.kills += 1
        await self.served.start()
        found = state(self.database, self._checked)
        assert found == expected, "recovery is what the files said, however often it was killed"
        assert (await self.head()).partition(":")[0] == self.epoch, "it is the same history"
        await self.driver.ask_again(10)
        self._recoveries += 1
        self.check(is_full=self._recoveries % FULL_CHECK_EVERY == 0)

    async def _die_in_recovery(self) -> None:
        if self.chance.random() < 0.5:
            label = self.chance.choice(STARTING)
            code = await self.served.start_until(f"{label}:1")
            assert code == -signal.SIGKILL, (label, code, self.served.output)
            return
        starting = asyncio.create_task(self.served.start_until(""))
        await asyncio.sleep(self.chance.uniform(0.02, 0.12))
        await self.served.stop(signal.SIGKILL)
        await starting

    # --- what must hold

    def check(self, *, is_full: bool) -> None:
        database = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            _check_operations(database)
            _check_journal(database, self.journal)
            _check_books_and_money(database, self.journal)
            _check_seen(database, self.journal)
            self._checked = database.execute("SELECT max(seq) FROM _pylon_log").fetchone()[0]
            if is_full:
                assert verify(database, stored_schema(database)) == []
        finally:
            database.close()
        self.journal.seen.clear()  # what was compared is in the file for good


def _check_operations(database: sqlite3.Connection) -> None:
    """Changes, log records and remembered answers are there together or not at all (I3)."""
    applied = "SELECT op_id FROM _pylon_ops WHERE outcome NOT LIKE '{\"error\"%'"
    logged = "SELECT operation_id FROM _pylon_log WHERE operation_id IS NOT NULL"
    for one, other in ((applied, logged), (logged, applied)):
        assert database.execute(f"{one} EXCEPT {other}").fetchall() == []
    twice = database.execute(
        "SELECT operation_id FROM _pylon_log WHERE operation_id IS NOT NULL"
        " GROUP BY operation_id HAVING count(DISTINCT tx) > 1"
    ).fetchall()
    assert twice == [], "an operation ran twice"


def _check_journal(database: sqlite3.Connection, journal: Journal) -> None:
    """What was acknowledged is there, as it was answered (I1)."""
    stored = dict(database.execute("SELECT op_id, outcome FROM _pylon_ops"))
    for op_id, (_, result) in journal.answered.items():
        outcome = jsonvalue.parse(stored[op_id].encode())
        assert outcome.get("seq") == result["seq"]
        assert outcome.get("value") == result.get("value")
        assert (outcome.get("error") or {}).get("code") == (result.get("error") or {}).get("code")
    for key, (*_, answer) in journal.written.items():
        assert answer is None or key in stored


def _check_books_and_money(database: sqlite3.Connection, journal: Journal) -> None:
    """Money only moves; each page is in its book once, at the place that was answered."""
    money = [value for (value,) in database.execute("SELECT money FROM Account")]
    assert (len(money), sum(money)) == (ACCOUNTS, ACCOUNTS * 100)
    books = {
        book: jsonvalue.parse(pages.encode())
        for book, pages in database.execute("SELECT id, pages FROM Book")
    }
    every = [page for pages in books.values() for page in pages]
    assert len(every) == len(set(every))
    for operation, result in journal.answered.values():
        if operation["fn"] == "append":
            args = operation["args"]
            if "error" in result:  # a machine that is busy lets no function have its time
                assert args["page"] not in every
            else:
                assert books[args["book"]][result["value"] - 1] == args["page"]


def _check_seen(database: sqlite3.Connection, journal: Journal) -> None:
    """A number that anybody has seen means what it meant (I13)."""
    for seq, known in journal.seen.items():
        found = database.execute(
            "SELECT tx, entity, row_id FROM _pylon_log WHERE seq = ?", (seq,)
        ).fetchone()
        assert found == known, "a number that was seen means something else now"


def state_of_copy(path: Path, aside: Path, since: int) -> list[Any]:
    """Return what SQLite makes of the files as they lie there, without touching them."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for one in path.parent.glob("app.db*"):
        shutil.copy(one, aside)
    return state(aside / path.name, since)


def state(path: Path, since: int) -> list[Any]:
    """Return everything that recovery may not change: rows, log and memory of operations."""
    database = sqlite3.connect(path)
    try:
        found: list[Any] = [
            database.execute("SELECT * FROM _pylon_log WHERE seq > ?", (since,)).fetchall(),
            database.execute("SELECT count(*), sum(length(outcome)) FROM _pylon_ops").fetchall(),
            database.execute("SELECT id, hash FROM _pylon_sessions ORDER BY id").fetchall(),
        ]
        for name in ("Account", "Book", "Note", "User"):
            found += [
                database.execute(f"SELECT * FROM {name} WHERE _seq > ?", (since,)).fetchall(),
                database.execute(f"SELECT count(*), sum(_seq) FROM {name}").fetchall(),
            ]
        return found
    finally:
        database.close()
