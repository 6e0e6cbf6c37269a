"""Kills, at random moments and at every named point, also while the kill before is recovered from.

Somebody outside writes by four ways, reads along, and holds the runtime to every word after each
start: nothing acknowledged is lost (I1) or torn (I3), tables are the fold of the log (I4), what had
no answer happened once or not at all (I5), recovery ends in what the files said (I8), no number
means two things (I13), and an answer stays the same (I38–I40). PYLON_TEST_SCALE multiplies the
kills; PYLON_KILL_SEED chooses others.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.server.storage.migration_plan import stored_schema
from pylon.server.storage.verify import verify
from pylon.testing.crash_points import STARTING, VARIABLE, WORKING
from pylon.testing.served import ServedProject
from tests.conftest import Serve
from tests.integration.killing import ACCOUNTS, APP, Driver, Journal, KilledProject

SCALE = int(os.environ.get("PYLON_TEST_SCALE", "1"))
SEED = int(os.environ.get("PYLON_KILL_SEED", "7"))
#: Kills of one project; a long history makes the checks slow, not the kills.
KILLS_EACH = 40
WORLDS = 5 * SCALE
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
        self.epoch = (await self._health()).partition(":")[0]

    async def close(self) -> None:
        await self.served.close()
        self.journal.close()

    async def _health(self) -> str:
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
        expected = _state_of_copy(self.database, self.folder / "copy", self._checked)
        while self.chance.random() < KILL_AGAIN:
            await self._die_in_recovery()
            self.kills += 1
        await self.served.start()
        found = _state(self.database, self._checked)
        assert found == expected, "recovery is what the files said, however often it was killed"
        assert (await self._health()).partition(":")[0] == self.epoch, "it is the same history"
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
            assert books[args["book"]][result["value"] - 1] == args["page"]


def _check_seen(database: sqlite3.Connection, journal: Journal) -> None:
    """A number that anybody has seen means what it meant (I13)."""
    for seq, known in journal.seen.items():
        found = database.execute(
            "SELECT tx, entity, row_id FROM _pylon_log WHERE seq = ?", (seq,)
        ).fetchone()
        assert found == known, "a number that was seen means something else now"


def _state_of_copy(path: Path, aside: Path, since: int) -> list[Any]:
    """Return what SQLite makes of the files as they lie there, without touching them."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for one in path.parent.glob("app.db*"):
        shutil.copy(one, aside)
    return _state(aside / path.name, since)


def _state(path: Path, since: int) -> list[Any]:
    """Return everything that recovery may not change: rows, log and memory of operations."""
    database = sqlite3.connect(path)
    try:
        state: list[Any] = [
            database.execute("SELECT * FROM _pylon_log WHERE seq > ?", (since,)).fetchall(),
            database.execute("SELECT count(*), sum(length(outcome)) FROM _pylon_ops").fetchall(),
            database.execute("SELECT id, hash FROM _pylon_sessions ORDER BY id").fetchall(),
        ]
        for name in ("Account", "Book", "Note", "User"):
            state += [
                database.execute(f"SELECT * FROM {name} WHERE _seq > ?", (since,)).fetchall(),
                database.execute(f"SELECT count(*), sum(_seq) FROM {name}").fetchall(),
            ]
        return state
    finally:
        database.close()


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * SCALE)
@pytest.mark.parametrize("world", range(WORLDS))
async def test_kills_lose_nothing_and_tear_nothing(tmp_path: Path, world: int) -> None:
    """Forty kills of one project, half of them where a point is passed, with load all the time."""
    one = World(tmp_path, SEED * 1_000 + world)
    points = [(label, number) for label in WORKING for number in (1, 2, 7)]
    chosen = one.chance.sample(points, KILLS_EACH // 2)
    try:
        await one.found()
        for label, number in chosen:
            await one.kill_at_random()
            await one.kill_at(label, number)
            await one.recover()
        assert len(one.journal.answered) > one.kills, "there was something to lose"
        load = one.driver.load()
        await asyncio.sleep(0.2)
        assert await one.served.stop() == 0, "and it stops as cleanly as ever"
        await asyncio.gather(*load)
        await one.served.start()
        await one.driver.ask_again(500)
        one.check(is_full=True)
    finally:
        await one.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_every_point_kills_a_start_and_the_next_start_recovers(tmp_path: Path) -> None:
    """One after the other, twice each, without a complete start in between: the same history."""
    one = World(tmp_path, SEED)
    try:
        await one.found()
        await one.kill_at_random()
        before = _state_of_copy(one.database, tmp_path / "copy", 0)
        for label in STARTING:
            for _ in range(2):
                code = await one.served.start_until(f"{label}:1")
                assert code == -signal.SIGKILL, (label, code, one.served.output)
        await one.served.start()
        assert _state(one.database, 0) == before
        assert (await one._health()).partition(":")[0] == one.epoch
        one.check(is_full=True)
    finally:
        await one.close()


async def test_the_variable_does_nothing_to_the_product(serve: Serve) -> None:
    """What was left in an environment kills no runtime but the test build's."""
    served: ServedProject = await serve(APP, environment={VARIABLE: "begin.before:1"})
    ada = await served.login("ada@example.com")
    for _ in range(3):
        await ada.insert("Account")
    assert served.process.returncode is None
