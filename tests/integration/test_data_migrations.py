"""Data migrations: once, in order, tried on a copy first, whole or not at all, in parts."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from pylon import jsonvalue
from pylon.errors import InvalidArgument
from pylon.server.functions.data_migrations import _TRIAL
from pylon.server.storage.branches import MAKING
from pylon.server.storage.place import demand_name
from pylon.testing.served import Caller, DidNotStart, ServedProject
from tests.conftest import Serve
from tests.shell import Shell

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("moved")


@app.entity(read="true", insert="auth.userId != null")
class Note(Entity):
    text: str
    length: int | None = None
"""
LENGTHS = """
def migrate(ctx):
    for note in ctx.db.list("Note"):
        ctx.db.update("Note", note.id, length=len(note.text))
"""
FAILING = """
def migrate(ctx):
    for note in ctx.db.list("Note", order=["text"]):
        ctx.db.update("Note", note.id, length=100 // (len(note.text) - 2))
"""
IN_PARTS = """
def migrate(ctx, cursor):
    after = cursor or ""
    notes = ctx.db.list("Note", where={"text": {">": after}}, order=["text"], limit=2)
    for note in notes:
        ctx.db.update("Note", note.id, length=(note.length or 0) + 1)
    return notes[-1].text if notes else None
"""
TOKEN = "the-owner"


async def _served(serve: Serve, *texts: str, **options: Any) -> tuple[ServedProject, Caller]:
    served = await serve(APP, environment={"PYLON_ADMIN_TOKEN": TOKEN}, **options)
    ada = await served.login("ada@example.com")
    for text in texts:
        await ada.insert("Note", text=text)
    return served, Caller(served, TOKEN, None)


def _write(served: ServedProject, name: str, text: str) -> Path:
    path = served.project / "migrations" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


async def _reload(owner: Caller) -> dict[str, Any]:
    answer: dict[str, Any] = (await owner.post("/api/admin/reload", {})).body
    return answer


async def _lengths(served: ServedProject) -> list[int | None]:
    listed = await served.anonymous().get("/api/entities/Note?order=text")
    return [row["length"] for row in listed.body["rows"]]


async def _status(served: ServedProject) -> list[tuple[str, str, int]]:
    said = await Shell(served)(
        "migrate", str(served.project), "--status", "--json", is_for_project=False
    )
    return [(one["name"], one["state"], one["changes"]) for one in jsonvalue.parse(said.encode())]


async def test_a_save_applies_it_once_as_ordinary_changes(serve: Serve) -> None:
    """The cause is in the log, the branch of before is there, a second save does nothing."""
    served, owner = await _served(serve, "a", "bb")
    _write(served, "0001_lengths", LENGTHS)
    answer = await _reload(owner)
    assert (answer["ok"], answer["migrated"]) == (True, ["0001_lengths"]), answer
    assert await _lengths(served) == [1, 2]
    changes = (await owner.get("/api/admin/log")).body["changes"]
    assert [one["cause"] for one in changes][-2:] == ["migration:0001_lengths"] * 2
    branches = (await owner.get("/api/admin/branches")).body["branches"]
    assert [one["why"] for one in branches[1:]] == ["before 0001_lengths"]
    assert re.fullmatch(r"before-0001_lengths-\d{8}-\d{6}", branches[1]["name"])  # as the docs say
    head = (await owner.get("/api/admin/status")).body["head"]
    assert (await _reload(owner))["migrated"] == []
    await served.stop()
    await served.start()
    assert (await owner.get("/api/admin/status")).body["head"] == head
    assert await _status(served) == [("0001_lengths", "applied", 2)]


async def test_one_that_fails_says_where_and_leaves_nothing(serve: Serve) -> None:
    """Tried on a copy: file, line and row are said, the old version serves on; mended, it runs."""
    served, owner = await _served(serve, "a", "bb", "ccc")
    _write(served, "0001_lengths", LENGTHS)
    path = _write(served, "0002_inverse", FAILING)
    rows = (await served.anonymous().get("/api/entities/Note?order=text")).body["rows"]
    answer = await _reload(owner)
    assert not answer["ok"]
    (said,) = answer["mistakes"]
    assert "migrations/0002_inverse.py:4: ZeroDivisionError" in said
    assert f"Note/{rows[1]['id']}" in said
    assert await _lengths(served) == [None, None, None], "the first one was tried on a copy only"
    assert [one["name"] for one in (await owner.get("/api/admin/branches")).body["branches"]] == [
        "main"
    ]
    path.write_text(LENGTHS)
    assert (await _reload(owner))["migrated"] == ["0001_lengths", "0002_inverse"]
    assert await _lengths(served) == [1, 2, 3]


async def test_names_and_order_are_held_to(serve: Serve) -> None:
    """Wrong names, two of one number, one below an applied one; an edit is noticed."""
    served, owner = await _served(serve, "a")
    for name, text, said in (
        ("1_x", LENGTHS, "no name of a data migration"),
        ("0001_x", "def other(ctx): ...", "there is no function migrate"),
        ("0001_x", "def migrate(ctx:", "0001_x.py:1"),
        ("0001_x", "async def migrate(ctx): ...", "there is no function migrate"),
    ):
        path = _write(served, name, text)
        assert said in str((await _reload(owner))["mistakes"])
        path.unlink()
    path = _write(served, "0002_x", LENGTHS)
    twin = _write(served, "0002_y", LENGTHS)
    assert "number 0002 is taken" in str((await _reload(owner))["mistakes"])
    twin.unlink()
    assert (await _reload(owner))["ok"]
    late = _write(served, "0001_late", LENGTHS)
    assert "comes before" in str((await _reload(owner))["mistakes"])
    assert [state for _, state, _ in await _status(served)] == ["late", "applied"]
    late.unlink()
    path.write_text(LENGTHS + "# edited\n")
    assert (await _reload(owner))["migrated"] == []
    assert await _status(served) == [("0002_x", "edited", 1)]
    path.unlink()
    assert await _status(served) == [("0002_x", "missing", 1)]


async def test_parts_go_on_where_a_kill_left_them(serve: Serve) -> None:
    """Each part is a transaction with its cursor: however it ends, every row is counted once."""
    served, owner = await _served(serve, "a", "b", "c", "d", "e")
    await served.stop()
    said = Shell(served)
    path = _write(served, "0001_count", IN_PARTS)
    await said("migrate", str(served.project), "--plan", is_for_project=False)
    marker = served.project / "killed"
    path.write_text(
        IN_PARTS.replace(
            "    return",
            "    import os, pathlib, signal\n"
            f"    marker = pathlib.Path({str(marker)!r})\n"
            "    if after == 'b' and marker.exists():\n"
            "        marker.unlink()\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "    if after == 'b':\n"
            "        marker.touch()\n"
            "    return",
        )
    )  # the trial comes past first, and the run itself is killed in its second part
    await said(
        "migrate", str(served.project), "--apply", is_for_project=False, code=-signal.SIGKILL
    )
    assert [state for _, state, _ in await _status(served)] == ["begun"]
    path.write_text(IN_PARTS)
    await served.start()
    assert await _lengths(served) == [1, 1, 1, 1, 1]
    assert await _status(served) == [("0001_count", "applied", 5)]
    assert (await owner.get("/api/admin/status")).status == 200


async def test_a_cursor_that_stands_still_is_refused(serve: Serve) -> None:
    """It would never end."""
    served, owner = await _served(serve, "a")
    _write(served, "0001_still", "def migrate(ctx, cursor):\n    return 1\n")
    assert "would never end" in str((await _reload(owner))["mistakes"])


async def test_production_waits_for_the_word(serve: Serve) -> None:
    """Without --migrate it does not start and names them; with it they run before anybody asks."""
    served = await serve(APP, mode="serve", environment={"PYLON_ADMIN_TOKEN": TOKEN})
    owner = Caller(served, TOKEN, None)
    call = {"entity": "Note", "records": [{"entity": "Note", "values": {"text": "abc"}}]}
    assert (await owner.post("/api/admin/import", {"op_id": "one", **call})).status == 200
    await served.stop()
    _write(served, "0001_lengths", LENGTHS)
    with pytest.raises(DidNotStart, match="data migrations wait: 0001_lengths"):
        await served.start()
    pylon = Shell(served)
    shown = await pylon("migrate", str(served.project), is_for_project=False)
    assert "run 0001_lengths (data)" in shown
    await pylon("migrate", str(served.project), "--apply", is_for_project=False)
    await served.start()
    assert await _lengths(served) == [3]


async def test_the_schema_goes_first(serve: Serve) -> None:
    """A field that a save adds is there for the file of the same save; also with no rows."""
    served, owner = await _served(serve, "a")
    (served.project / "app.py").write_text(APP + "    loud: str | None = None\n")
    _write(served, "0001_loud", LENGTHS.replace("length=len(note.text)", "loud=note.text.upper()"))
    assert (await _reload(owner))["ok"]
    assert (await served.anonymous().get("/api/entities/Note")).body["rows"][0]["loud"] == "A"
    await served.stop()
    await Shell(served)("reset", str(served.project), "--yes", is_for_project=False)
    await served.start()
    assert await _status(served) == [("0001_loud", "applied", 0)]


def test_a_branch_in_the_making_is_never_taken_for_the_trial() -> None:
    """The trial removes its folder first, and lies where branches are made."""
    with pytest.raises(InvalidArgument):
        demand_name(_TRIAL.removeprefix(MAKING))
