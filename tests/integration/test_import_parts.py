"""Several parts of an import in one request: each done once, and none behind a refused one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pylon import limits
from pylon.cli.main import cli
from pylon.server.functions.import_parts import take_parts
from pylon.server.offline import open_database
from pylon.server.storage import commits
from pylon.server.storage.database import Database
from pylon.testing.served import Caller
from tests.conftest import Serve

APP = """
from pylon import App, Entity

app = App("parts")


@app.entity(read="true", insert="true")
class Twig(Entity):
    name: str
"""
TOKEN = "the-owner"


def _part(name: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"op_id": name, "records": [{"entity": "Twig", "values": one} for one in rows]}


async def test_parts_are_stored_in_order_up_to_the_first_that_is_refused(serve: Serve) -> None:
    """What was stored stays stored when it comes again; the load is told; too much is refused."""
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN})
    owner, ada = Caller(served, TOKEN, None), await served.login("ada@example.com")

    async def names() -> set[str]:
        found = (await ada.post("/api/query/Twig", {})).body["rows"]
        return {one["name"] for one in found}

    asked = [_part("a", {"name": "a"}, {"name": "b"}), _part("b", {"name": "c"}, {}),
             _part("c", {"name": "d"})]  # fmt: skip
    answer = (await owner.post("/api/admin/import", {"parts": asked})).body
    assert [one["inserted"] for one in answer["parts"]] == [2]
    assert (answer["error"]["code"], answer["error"]["details"]["record"]) == (
        "INVALID_ARGUMENT", 1,
    )  # fmt: skip
    assert await names() == {"a", "b"}

    asked[1] = _part("b", {"name": "c"})
    answer = (await owner.post("/api/admin/import", {"parts": asked})).body
    assert answer["error"] is None
    assert [one["was_done"] for one in answer["parts"]] == [True, False, False]
    assert await names() == {"a", "b", "c", "d"}
    assert answer["load"]["took_ms"] >= answer["load"]["run_ms"] > 0
    assert (answer["load"]["others"], answer["load"]["queued"]) == (0, 0)

    many = [_part(f"m{at}", *({"name": "x"} for _ in range(150))) for at in range(2)]
    for wrong in (many, [], "no list", [1]):
        refused = await owner.post("/api/admin/import", {"parts": wrong})
        assert refused.code == "INVALID_ARGUMENT", wrong
    assert len(await names()) == 4


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """The database of a project that does not run."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    (folder := tmp_path / "parts").mkdir()
    (folder / "app.py").write_text(APP)
    asked = ["migrate", str(folder), "--apply"]
    assert (await asyncio.to_thread(CliRunner().invoke, cli, asked)).exit_code == 0
    async with open_database(folder) as opened:
        yield opened


async def _stored(database: Database, names: list[str]) -> tuple[list[str], str, set[str]]:
    """Import twigs, a part each; returns (the stored ones' names, the error's code, all names)."""
    asked = [_part(name, {"name": name}) for name in names]
    answer = await take_parts(
        database.writer, database.clock, {"parts": asked}, database.ids.uuid7, has_policies=False
    )
    kept = {row[0] for row in database.readers.inline.rows("SELECT name FROM Twig", ())}
    return names[: len(answer["parts"])], answer["error"]["code"], kept


@pytest.mark.parametrize(
    ("broken", "expected"),
    [("json('{')", "INTERNAL"), ("RAISE(ROLLBACK, 'broken')", "CONFLICT")],
    ids=["statement", "batch"],
)
async def test_what_nobody_meant_to_happen_lets_no_part_behind_it_in(
    database: Database, broken: str, expected: str
) -> None:
    """Neither where SQLite undoes the statement alone, nor where the whole batch is lost."""
    with closing(sqlite3.connect(database.path)) as other:
        other.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON Twig WHEN new.name = 'bad'"
            f" BEGIN SELECT {broken}; END"
        )
    answered, code, kept = await _stored(database, ["a", "b", "bad", "c", "d"])
    assert (answered, code) == (["a", "b"], expected)
    assert kept == {"a", "b"}
    assert (await _stored(database, ["bad", "e"]))[2] == {"a", "b"}


async def test_no_part_is_stored_behind_one_of_which_nobody_knows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit failed; those in the next batch wait for what it was of."""
    real, commits_done = commits._commit, 0

    def failing(raw: Any) -> None:
        nonlocal commits_done
        commits_done += 1
        if commits_done == 2:
            raise sqlite3.OperationalError("disk I/O error")
        real(raw)

    monkeypatch.setattr(commits, "_commit", failing)
    monkeypatch.setattr(limits, "BATCH_ROWS_MAX", 1)
    answered, code, kept = await _stored(database, ["a", "b", "c", "d"])
    assert (answered, code) == (["a"], "UNAVAILABLE")
    assert kept == {"a"}
