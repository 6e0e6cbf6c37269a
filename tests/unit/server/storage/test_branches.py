"""Branches as files: room, names, what is left of those that were begun, and how many are kept."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits_branches
from pylon.clock import SystemClock
from pylon.errors import InvalidArgument, Unavailable
from pylon.server.storage import branches
from pylon.server.storage.branches import BranchRefused
from pylon.server.storage.database import Database
from pylon.server.storage.migrate import migrate
from pylon.server.storage.place import BranchUnknown, place_in_use, place_of, use_place
from tests.unit.server.storage.conftest import SCHEMA, fill, open_database

CLOCK = SystemClock()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open database, closed afterwards."""
    opened = await open_database(tmp_path)
    await migrate(opened, SCHEMA)
    yield opened
    await opened.close()


async def test_a_full_disk_is_said_before_anything_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bytes that it needs and those that are free; nothing is left."""
    await fill(database)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 5, 5))
    with pytest.raises(Unavailable) as refused:
        await branches.create(database.place, "try", CLOCK)
    details = refused.value.details
    assert details["reason"] == "disk_full"
    assert details["free"] == 5
    assert details["need"] > limits_branches.BRANCH_ROOM_BYTES
    assert "5 are free" in refused.value.message
    assert list((database.folder / "branches").iterdir()) == []


async def test_only_the_newest_automatic_ones_are_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that somebody asked for stay, and so does the one in use."""
    monkeypatch.setattr(limits_branches, "BRANCHES_AUTOMATIC_MAX", 2)
    await fill(database)
    mine = await branches.create(database.place, "mine", CLOCK)
    first = await branches.keep_before(database.place, "migration", CLOCK)
    use_place(database.folder, first.name, "token")
    made = [(await branches.keep_before(database.place, "x" * 40, CLOCK)).name for _ in range(4)]
    use_place(database.folder, "main", "token2")
    names = {one.name for one in branches.list_branches(database.folder)}
    assert names == {"main", mine.name, first.name, *made[-2:]}
    assert all(one.why for one in branches.list_branches(database.folder)[1:] if one != mine)


async def test_what_a_kill_left_goes_and_what_is_whole_stays(database: Database) -> None:
    """Half made and half removed branches are swept by who owns the folder."""
    await fill(database)
    await branches.create(database.place, "try", CLOCK)
    folder = database.folder / "branches"
    for name in (".new-x", ".gone-y"):
        (folder / name).mkdir()
        (folder / name / "app.db").write_bytes(b"half")
    assert branches.is_used_elsewhere(database.place, "0" * 64), "one is being made"
    branches.sweep(database.folder)
    assert [one.name for one in folder.iterdir()] == ["try"]
    assert not branches.is_used_elsewhere(database.place, "0" * 64)
    (folder / "try" / "app.db").write_bytes(b"no database at all, but long enough to be looked at")
    assert branches.is_used_elsewhere(database.place, "0" * 64), "it can't be asked"


async def test_what_is_no_branch_is_not_listed_and_hides_none(database: Database) -> None:
    """A stray folder or file beside them, and a description that another program wrote over."""
    await fill(database)
    await branches.create(database.place, "good", CLOCK)
    await branches.create(database.place, "odd", CLOCK)
    folder = database.folder / "branches"
    (folder / "a stray \x1b[2J folder").mkdir()
    (folder / "note").write_text("of somebody")
    damaged = (
        b'{"of": ["x"], "made_ms": "never", "head": {}, "why": "\\u001b[2J"}',
        b"[1]",
        b"\xff",
    )
    for about in damaged:
        (folder / "odd" / "about.json").write_bytes(about)
        found = {one.name: one for one in branches.list_branches(database.folder)}
        assert list(found) == ["main", "good", "odd"]
        assert (found["odd"].of, found["odd"].made_ms, found["odd"].head) == (None, None, None)
        assert found["odd"].to_json()["made_at"] is None
    assert branches.find(database.folder, "good").branch == "good"
    with pytest.raises(BranchUnknown, match="no branch other"):
        branches.find(database.folder, "other")


async def test_a_pointer_that_names_nothing_opens_nothing(tmp_path: Path) -> None:
    """Neither a wrong file nor a lost branch has another database be taken for it."""
    database = await open_database(tmp_path)
    await branches.create(database.place, "try", CLOCK)
    await database.close()
    use_place(tmp_path, "try", "token")
    assert place_in_use(tmp_path).branch == "try"
    shutil.rmtree(tmp_path / "branches" / "try")
    with pytest.raises(BranchUnknown, match="is gone"):
        await open_database(tmp_path)
    for text in ("", "{}", '{"branch": "../x", "switch": "", "before": "main"}'):
        (tmp_path / "branch.json").write_text(text)
        with pytest.raises(BranchUnknown, match="does not name"):
            place_in_use(tmp_path)
    (tmp_path / "branch.json").unlink()
    await (await open_database(tmp_path)).close()


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", ".a", "-a", "a" * 49, "a/b", None, 3])
def test_names_that_can_be_no_folder_are_refused(tmp_path: Path, name: object) -> None:
    """No name reaches outside, and none is one of two spellings of another."""
    with pytest.raises(InvalidArgument):
        branches.demand_new_name(name)
    if isinstance(name, str):
        with pytest.raises(InvalidArgument):
            place_of(tmp_path, name)


async def test_the_number_of_branches_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is refused and says how to make room."""
    monkeypatch.setattr(limits_branches, "BRANCHES_MAX", 1)
    await fill(database)
    await branches.create(database.place, "one", CLOCK)
    with pytest.raises(BranchRefused, match="there are 1 branches"):
        await branches.create(database.place, "two", CLOCK)
