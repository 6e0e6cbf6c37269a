"""Every store keeps the same: one suite for memory and SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pylon.client import events as ev
from pylon.client.pending import Effect, PendingMutation
from pylon.client.rows import Save
from pylon.client.store import MemoryStore, Store
from pylon.client.store_sqlite import SqliteStore
from pylon.client.subscription import Definition, Subscription
from pylon.errors import Unavailable
from pylon.protocol.manifest import Manifest
from pylon.sqlite import THREADS

MANIFEST = Manifest(app="a", version="1", hash="h", entities=[], functions=[])
SUBSCRIPTION = Subscription(
    id="s1", definition=Definition(entity="Note", where={"n": [1, None]}), phase="done", at="e:4"
)


class Reopened:
    """A store that can be left and opened again, as by the next run of a program."""

    def __init__(self, kind: str, path: Path) -> None:
        self._kind = kind
        self._path = path
        self.store: Store = MemoryStore()

    async def open(self) -> Any:
        if self._kind == "sqlite":
            self.store = SqliteStore(self._path)
        return await self.store.open("c1")

    async def again(self) -> Any:
        await self.store.close()
        return await self.open()


@pytest.fixture(params=["memory", "sqlite"])
async def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reopened]:
    made = Reopened(request.param, tmp_path / "deep" / "replica.db")
    yield made
    await made.store.close()


def _save(*, reset: bool = False, cursor: str | None = "e:1", puts: Any = (), deletes: Any = (),
          subscriptions: Any = ()) -> ev.SaveReplica:  # fmt: skip
    save = Save(
        reset=reset, cursor=cursor, puts=list(puts), deletes=list(deletes),
        subscriptions=list(subscriptions),
    )  # fmt: skip
    return ev.SaveReplica(save=save)


def _mutation(op_id: str, principal: str | None, **values: Any) -> PendingMutation:
    return PendingMutation(
        op_id=op_id, fn="pylon.insert", args={"values": values}, principal=principal,
        effects=[Effect(kind="insert", entity="Note", id=op_id, values=values)],
        at="2026-11-24T12:00:00.000Z", size=10,
    )  # fmt: skip


async def test_a_new_store_holds_nothing_but_a_client_id(reopened: Reopened) -> None:
    """The client's name is made once and stays."""
    kept = await reopened.open()
    assert kept.client_id == "c1"
    assert kept.principal is msgspec.UNSET
    assert kept.replica is msgspec.UNSET
    assert (await reopened.again()).client_id == "c1"


async def test_rows_cursor_and_states_come_back(reopened: Reopened) -> None:
    """What was saved is what the next run starts from, to the byte."""
    await reopened.open()
    row = {"id": "a", "_seq": 3, "text": "räksmörgås \u2028", "n": 0.1, "deep": {"__proto__": [1]}}
    await reopened.store.write([
        ev.Wipe(principal="u1"),
        ev.ManifestKnown(manifest=MANIFEST),
        _save(puts=[("Note", row), ("Note", {"id": "b", "_seq": 2}), ("Tag", {"id": "a",
              "_seq": 1})]),
    ])  # fmt: skip
    await reopened.store.write([
        _save(cursor="e:4", puts=[("Note", {**row, "_seq": 4})], deletes=[("Note", "b")],
              subscriptions=[SUBSCRIPTION]),
    ])  # fmt: skip
    kept = await reopened.again()
    assert kept.principal == "u1"
    assert kept.manifest == MANIFEST
    assert kept.replica.cursor == "e:4"
    assert kept.replica.subscriptions == [SUBSCRIPTION]
    assert sorted(kept.replica.rows, key=lambda one: one[0]) == [
        ("Note", {**row, "_seq": 4}), ("Tag", {"id": "a", "_seq": 1})
    ]  # fmt: skip


async def test_a_reset_leaves_only_what_comes_with_it(reopened: Reopened) -> None:
    """Rows of before a resync are gone in the same write."""
    await reopened.open()
    await reopened.store.write([ev.Wipe(principal=None), _save(puts=[("Note", {"id": "a"})])])
    await reopened.store.write([_save(reset=True, cursor=None, puts=[("Note", {"id": "b"})])])
    kept = await reopened.again()
    assert kept.principal is None
    assert kept.replica.cursor is None
    assert kept.replica.rows == [("Note", {"id": "b"})]


async def test_a_wipe_leaves_the_mutations_of_their_authors(reopened: Reopened) -> None:
    """Another principal gets an empty replica; what waits is kept for who made it, in order."""
    await reopened.open()
    await reopened.store.write([ev.Wipe(principal="u1"), _save(puts=[("Note", {"id": "a"})])])
    first, second = _mutation("o2", "u1", n=1), _mutation("o1", "u1", n=2)
    await reopened.store.write([ev.SavePending(mutation=one) for one in (first, second)])
    await reopened.store.write([ev.SavePending(mutation=_mutation("o3", "u2"))])
    changed = msgspec.structs.replace(first, seq=7)
    await reopened.store.write([ev.SavePending(mutation=changed)])
    await reopened.store.write([ev.Wipe(principal="u2")])
    kept = await reopened.again()
    assert kept.replica.rows == []
    assert kept.replica.cursor is None
    assert [one.op_id for one in kept.pending] == ["o3"]
    assert await reopened.store.pending_of("u1") == [changed, second]
    await reopened.store.write([ev.DropPending(op_id="o2")])
    assert await reopened.store.pending_of("u1") == [second]


async def test_another_caller_finds_no_rows(reopened: Reopened) -> None:
    """Rows are gone before the store is handed over, also offline; what waits stays."""
    await reopened.open()
    await reopened.store.close()
    await reopened.store.open("c1", "ann")
    await reopened.store.write([ev.Wipe(principal="u1"), _save(puts=[("Note", {"id": "a"})])])
    await reopened.store.write([ev.SavePending(mutation=_mutation("o1", "u1"))])
    await reopened.store.close()
    kept = await reopened.store.open("c1", "ann")
    assert kept.replica.rows == [("Note", {"id": "a"})]  # type: ignore[union-attr]
    await reopened.store.close()
    other = await reopened.store.open("c1", "bob")
    assert (other.client_id, other.principal, other.replica) == ("c1", msgspec.UNSET, msgspec.UNSET)
    assert [one.op_id for one in await reopened.store.pending_of("u1")] == ["o1"]
    await reopened.store.close()
    back = await reopened.store.open("c1", "ann")
    assert back.replica is msgspec.UNSET


async def test_a_write_is_whole_or_nothing(tmp_path: Path) -> None:
    """A store that is killed within a write holds what was there before it."""
    store = SqliteStore(tmp_path / "replica.db")
    await store.open("c1")
    await store.write([ev.Wipe(principal="u1"), _save(cursor="e:1", puts=[("Note", {"id": "a"})])])
    bad = _save(cursor="e:2", puts=[("Note", {"id": "b"}), ("Note", {"id": None})])
    with pytest.raises(Unavailable):
        await store.write([bad])
    await store.close()
    kept = await store.open("c1")
    await store.close()
    assert kept.replica.cursor == "e:1"  # type: ignore[union-attr]
    assert kept.replica.rows == [("Note", {"id": "a"})]  # type: ignore[union-attr]


async def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """What is no store is refused with its name, and not a byte of it changes."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 100)
    with pytest.raises(Unavailable, match=r"notes\.txt"):
        await SqliteStore(path).open("c1")
    assert path.read_text() == "my notes, " * 100


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """Whoever names his app's database by mistake loses nothing."""
    path = tmp_path / "app.db"
    other = await THREADS.open_writer(path, synchronous="FULL")
    other.raw.execute("CREATE TABLE Message (id TEXT)")
    await other.close()
    with pytest.raises(Unavailable, match="something else"):
        await SqliteStore(path).open("c1")
    again = await THREADS.open_reader(path)
    names = again.raw.execute("SELECT name FROM sqlite_master").fetchall()
    await again.close()
    assert names == [("Message",)]


async def test_only_the_owner_reads_a_store(tmp_path: Path) -> None:
    """The file is the user's own whatever its mode was; so are those beside it."""
    path = tmp_path / "replica[1].db"
    path.touch(mode=0o644)
    for mode in (0o644, 0o640):
        path.chmod(mode)
        store = SqliteStore(path)
        await store.open("c1")
        found = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
        await store.close()
        assert len(found) == 3, "a journal lies beside it"
        assert set(found.values()) == {0o600}, found


@pytest.mark.parametrize(
    "statement",
    ["UPDATE meta SET value = x'ff'", "UPDATE meta SET value = 5",
     "INSERT INTO meta VALUES ('principal', x'fe')"],
)  # fmt: skip
async def test_a_store_that_was_edited_is_said_to_be_unusable(
    tmp_path: Path, statement: str
) -> None:
    """Nothing that stands in the file ends its opening with a fault of ours."""
    path = tmp_path / "replica.db"
    store = SqliteStore(path)
    await store.open("c1")
    await store.close()
    other = await THREADS.open_writer(path, synchronous="FULL")
    other.raw.execute(statement)
    await other.close()
    with pytest.raises(Unavailable, match="can't be read as a store"):
        await SqliteStore(path).open("c1")
