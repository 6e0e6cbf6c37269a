"""Two hundred kills under load: nothing acknowledged is lost, and the tables are the log's fold."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.testing.served import ServedProject
from tests.conftest import Serve

KILLS = 200
APP = """
from __future__ import annotations

from pylon import App, Entity, Ref, actor, field, unique

app = App("kill")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null",
            delete="auth.userId != null")
class Box(Entity):
    name: str
    count: int = 0

    by_name = unique("name")


@app.entity(read="true", insert="auth.userId != null", update="auth.userId != null",
            delete="auth.userId != null")
class Item(Entity):
    boxId: Ref["Box"] = field(on_delete="cascade")
    n: int


@app.mutation
def fill(ctx, boxId: str, n: int) -> int:
    box = ctx.db.get("Box", boxId)
    ctx.db.insert("Item", boxId=boxId, n=n)
    return ctx.db.update("Box", boxId, count=box.count + 1).count
"""


class _Load:
    """Writers that remember what was acknowledged, and send again what was not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[str, int] = {}
        self.unknown: list[dict[str, Any]] = []
        self.number = 0

    def operations(self, boxes: list[str]) -> list[dict[str, Any]]:
        """Return what to push next: first what has no answer yet, with the same ids."""
        again, self.unknown = self.unknown, []
        fresh = []
        for _ in range(self.random.randrange(1, 12)):
            self.number += 1
            fresh.append(
                {
                    "op_id": f"op-{self.number}", "fn": "fill",
                    "args": {"boxId": self.random.choice(boxes), "n": self.number},
                }
            )  # fmt: skip
        return [*again, *fresh]


async def _write(served: ServedProject, caller: Any, load: _Load, boxes: list[str]) -> None:
    while True:
        operations = load.operations(boxes)
        try:
            answer = await caller.post(
                "/api/sync/push", {"client_id": "kill", "operations": operations}
            )
        except Exception:  # noqa: BLE001 -- the connection died: nobody knows what happened
            load.unknown = operations
            return
        if answer.status != 200:
            load.unknown = operations
            return
        for operation, result in zip(operations, answer.body["results"], strict=True):
            if result["status"] in ("applied", "duplicate"):
                load.acknowledged[operation["op_id"]] = result["seq"]
            else:
                assert result["status"] == "retry", result
                load.unknown.append(operation)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_hundred_kills_lose_nothing(serve: Serve) -> None:
    """Killed at random moments under load; every acknowledged operation happened exactly once."""
    served = await serve(APP)
    ada = await served.login("ada@example.com")
    boxes = [(await ada.insert("Box", name=f"b{n}"))["id"] for n in range(4)]
    loads = [_Load(seed) for seed in range(4)]
    for place, load in enumerate(loads):
        load.number = place * 10_000_000
    chance = random.Random(7)
    for _ in range(KILLS):
        writers = [asyncio.create_task(_write(served, ada, load, boxes)) for load in loads]
        await asyncio.sleep(chance.uniform(0.0, 0.12))
        await served.stop(signal.SIGKILL)
        await asyncio.gather(*writers)
        await served.start()
    writers = [asyncio.create_task(_write(served, ada, load, boxes)) for load in loads]
    await asyncio.sleep(0.3)
    assert await served.stop() == 0
    await asyncio.gather(*writers)
    acknowledged = {key: seq for load in loads for key, seq in load.acknowledged.items()}
    assert len(acknowledged) > KILLS
    _check_file(served.project / ".pylon" / "app.db", acknowledged)


def _check_file(path: Path, acknowledged: dict[str, int]) -> None:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        sent = database.execute("SELECT n FROM Item").fetchall()
        numbers = [n for (n,) in sent]
        assert len(numbers) == len(set(numbers)), "an operation ran twice"
        assert {int(key.removeprefix("op-")) for key in acknowledged} <= set(numbers)
        counted = dict(database.execute("SELECT id, count FROM Box").fetchall())
        for box, count in database.execute("SELECT boxId, count(*) FROM Item GROUP BY boxId"):
            assert counted[box] == count, "half a transaction is in the file"
        _check_fold(database)
    finally:
        database.close()


def _check_fold(database: sqlite3.Connection) -> None:
    """Hold every table equal to the fold of the log, number for number."""
    folded: dict[tuple[str, str], tuple[int, str]] = {}
    last = 0
    for seq, entity, row_id, kind, after in database.execute(
        "SELECT seq, entity, row_id, kind, after FROM _pylon_log ORDER BY seq"
    ):
        assert seq == last + 1, "the sequence has a gap"
        last = seq
        if kind == "delete":
            del folded[entity, row_id]
        else:
            folded[entity, row_id] = (seq, after)
    for entity in ("Box", "Item", "User"):
        names = [row[1] for row in database.execute(f'PRAGMA table_info("{entity}")')]
        rows = {
            row[names.index("id")]: row for row in database.execute(f'SELECT * FROM "{entity}"')
        }
        assert set(rows) == {row_id for name, row_id in folded if name == entity}
        for row_id, row in rows.items():
            seq, after = folded[entity, row_id]
            assert row[names.index("_seq")] == seq
            image = jsonvalue.parse(after.encode())
            for name, value in image.items():
                if name in names and name != "_seq":
                    assert row[names.index(name)] == value, (entity, row_id, name)
