"""Epochs: history that went back is noticed at the next start, and nothing else is taken for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from pylon.clock import SystemClock
from pylon.ids import IdSource
from pylon.server.storage import system_tables
from pylon.server.storage.lineage import Lineage, Witness, settle_lineage
from pylon.server.storage.place import MAIN, Place

Start = Callable[..., Lineage]


class Killed(Exception):
    """The process ended here."""


@pytest.fixture
def ids() -> IdSource:
    """Ids that never repeat."""
    numbers = count(1)
    return IdSource(SystemClock(), lambda size: next(numbers).to_bytes(size))


@pytest.fixture
def start(tmp_path: Path, ids: IdSource, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start over a database file; `dies` kills it between the database and the witness."""

    def started(
        name: str = "app.db", *, head: int = 0, dies: bool = False, witness: bool = True,
        switch: str = "", before: str = "", is_in_use: bool = True,
    ) -> Lineage:  # fmt: skip
        connection = sqlite3.connect(tmp_path / name, isolation_level=None)
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in system_tables.STATEMENTS:
                connection.execute(statement)

        def die(*_: object) -> None:
            raise Killed

        try:
            with monkeypatch.context() as patch:
                if dies:
                    patch.setattr(Witness, "write", die)
                folder = tmp_path / "witness" if witness else None
                place = Place(tmp_path, MAIN, switch, before)
                return settle_lineage(
                    connection, ids, folder, head, place, is_in_use=is_in_use
                )[0]  # fmt: skip
        finally:
            connection.close()

    return started


def test_any_number_of_kills_between_the_two_tokens_is_no_rollback(start: Start) -> None:
    """However often the start dies after the database and before the witness, the epoch stays."""
    epoch = start().epoch
    for _ in range(4):
        with pytest.raises(Killed):
            start(dies=True)
    after = start()
    assert (after.epoch, after.is_new_epoch) == (epoch, False)
    assert start().epoch == epoch


def test_a_copy_of_before_such_kills_is_one(start: Start, tmp_path: Path) -> None:
    """A copy whose token the witness has left behind is an older copy, at whatever head."""
    epoch = start().epoch
    with pytest.raises(Killed):
        start(dies=True)
    (tmp_path / "copy.db").write_bytes((tmp_path / "app.db").read_bytes())
    assert start().epoch == epoch
    after = start("copy.db", head=1_000)
    assert after.is_new_epoch
    assert after.epoch != epoch


def test_a_lower_head_is_a_rollback(start: Start, tmp_path: Path) -> None:
    """A copy taken since the last start has the right token; its head betrays it."""
    first = start(head=5)
    folder = tmp_path / "witness"
    witness = Witness(folder, first.database_id)
    seen = witness.read()
    assert seen is not None
    witness.write(7, seen[0])
    assert start(head=7).epoch == first.epoch, "the head that was witnessed is no rollback"
    assert start(head=6).is_new_epoch


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token":1}', b'{"head":"x","token":"t"}'])
def test_an_unreadable_witness_is_no_witness(start: Start, tmp_path: Path, content: bytes) -> None:
    """Without a witness the epoch stays."""
    first = start()
    (tmp_path / "witness" / f"{first.database_id}.json").write_bytes(content)
    assert start().epoch == first.epoch


def test_a_new_database_has_an_epoch_of_its_own(start: Start) -> None:
    """A folder that was deleted and made anew is no continuation."""
    first = start()
    second = start("other.db")
    assert first.epoch != second.epoch
    assert not second.is_new_epoch, "nobody was rolled back"


def test_a_database_that_is_opened_beside_stays_what_it_is(start: Start) -> None:
    """Written to beside another, once it was in use: no new epoch, and the next start fits."""
    first = start(switch="one", before=MAIN, head=3)
    for head in (4, 5):
        beside = start(is_in_use=False, witness=False, head=head)
        assert (beside.epoch, beside.is_new_epoch) == (first.epoch, False)
    after = start(switch="one", before=MAIN, head=5)
    assert (after.epoch, after.is_new_epoch) == (first.epoch, False)


def test_a_copy_that_is_opened_beside_gets_a_lineage(start: Start) -> None:
    """Nobody had it in use yet."""
    beside = start("copy.db", is_in_use=False, witness=False)
    assert start("copy.db").epoch == beside.epoch


def test_main_starts_where_nothing_says_any_more_which_branch_is_in_use(start: Start) -> None:
    """The pointer was removed by hand, as we say: a new epoch, since what was before is gone."""
    first = start(switch="one", before="try")
    after = start()
    assert after.is_new_epoch
    assert after.epoch != first.epoch
