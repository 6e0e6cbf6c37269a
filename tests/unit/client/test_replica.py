"""The replica's rules, one by one; how they work together is in test_machine."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.fields import Fields
from pylon.client.replica import Replica
from pylon.client.rows import StoredReplica
from pylon.client.subscription import Definition, Subscription
from pylon.protocol.manifest import EntityManifest, FieldManifest, Manifest
from pylon.protocol.messages import Snapshot, Window


def _row(row_id: str, seq: int, **values: Any) -> dict[str, Any]:
    return {"id": row_id, "_seq": seq, **values}


def _upsert(row: dict[str, Any]) -> dict[str, Any]:
    return {"seq": row["_seq"], "entity": "Note", "row_id": row["id"], "kind": "update", "row": row}


def _delete(row_id: str, seq: int, cause: str | None = None) -> dict[str, Any]:
    change = {"seq": seq, "entity": "Note", "row_id": row_id, "kind": "delete"}
    return change if cause is None else {**change, "cause": cause}


def _batch(
    after: int, through: int, *changes: dict[str, Any], more: bool = False
) -> dict[str, Any]:
    cursors = {"after": f"e:{after}", "through": f"e:{through}"}
    return {**cursors, "changes": list(changes), "more": more}


def _page(at: int, *rows: dict[str, Any], done: bool = True) -> Snapshot:
    return Snapshot(subscription="s1", entity="Note", rows=list(rows), at=f"e:{at}", done=done)


@pytest.fixture
def replica() -> Replica:
    """A replica at e:10 with one complete subscription of all notes."""
    made = Replica()
    made.start_at("e:10")
    made.subscribe("s1", Definition(entity="Note", where={}))
    made.page(_page(10, _row("a", 3)))
    made.take_save()
    made.take_touched()
    return made


def _ids(replica: Replica) -> set[str]:
    return {row["id"] for row in replica.rows("Note")}


@pytest.mark.parametrize("after", [9, 11])
def test_a_batch_applies_only_at_its_cursor(replica: Replica, after: int) -> None:
    """Anything else is a gap and moves nothing (I25)."""
    assert replica.apply(_batch(after, 12, _upsert(_row("b", 12)))) == "gap"
    assert replica.cursor == "e:10"
    assert _ids(replica) == {"a"}


def test_a_batch_that_came_already_is_a_duplicate(replica: Replica) -> None:
    """It is ignored: everything in it is here."""
    assert replica.apply(_batch(8, 10, _delete("a", 9))) == "duplicate"
    assert _ids(replica) == {"a"}


def test_a_batch_that_ends_before_it_starts_is_a_gap(replica: Replica) -> None:
    """The cursor never goes back, whoever says so."""
    assert replica.apply({**_batch(10, 10), "through": "e:4"}) == "gap"


def test_older_changes_change_nothing(replica: Replica) -> None:
    """Per row: an upsert not above the local seq, a delete at or below it (I26)."""
    replica.apply(_batch(10, 12, _upsert(_row("a", 12, text="new"))))
    replica.apply(_batch(12, 13, _upsert(_row("a", 11, text="old")), _delete("a", 12)))
    assert replica.row("Note", "a") == _row("a", 12, text="new")


def test_a_page_read_before_a_delete_brings_nothing_back(replica: Replica) -> None:
    """A delete while pages come is remembered until they are complete (rule 8)."""
    replica.subscribe("s2", Definition(entity="Note", where={"x": 1}))
    replica.apply(_batch(10, 12, _delete("b", 12)))
    page = Snapshot(
        subscription="s2", entity="Note", rows=[_row("b", 5, x=1)], at="e:11", done=True
    )
    replica.page(page)
    assert "b" not in _ids(replica)


def test_unsubscribing_drops_what_nothing_else_wants(replica: Replica) -> None:
    """Shared rows stay (rule 14)."""
    replica.subscribe("s2", Definition(entity="Note", where={"x": 1}))
    replica.apply(_batch(10, 12, _upsert(_row("b", 12, x=1))))
    replica.unsubscribe("s1")
    assert _ids(replica) == {"b"}


def test_a_newer_row_that_no_subscription_wants_leaves() -> None:
    """What moved out of every filter does not stay as it was."""
    replica = Replica()
    replica.start_at("e:1")
    replica.subscribe("s1", Definition(entity="Note", where={"x": 1}))
    replica.page(_page(1, _row("a", 1, x=1)))
    replica.apply(_batch(1, 2, _upsert(_row("a", 2, x=2))))
    assert _ids(replica) == set()


def test_a_filtered_row_stays_while_a_window_lists_it(replica: Replica) -> None:
    """The window's own next frame decides (rule 16)."""
    replica.subscribe("w", Definition(entity="Note", where={}, order=["n"], limit=5))
    frame = Window(subscription="w", ids=["a"], rows=[_row("a", 3)], at="e:10", version=0)
    replica.window(frame)
    replica.apply(_batch(10, 11, _delete("a", 11, "filtered")))
    assert _ids(replica) == {"a"}
    replica.apply(_batch(11, 12, _delete("a", 12, "hidden")))
    assert _ids(replica) == set()


def test_a_filtered_row_leaves_with_the_window_that_kept_it() -> None:
    """As it is held it would still match: it is known that no filter selects it any more."""
    replica = Replica()
    replica.start_at("e:10")
    replica.subscribe("s1", Definition(entity="Note", where={"n": 1}))
    replica.page(_page(10, _row("a", 3, n=1)))
    replica.subscribe("w", Definition(entity="Note", where={}, order=["n"], limit=1))
    replica.window(Window(subscription="w", ids=["a"], rows=[], at="e:10", version=0))
    replica.apply(_batch(10, 11, _delete("a", 11, "filtered")))
    assert _ids(replica) == {"a"}
    rows = [_row("b", 12, n=0)]
    replica.window(Window(subscription="w", ids=["b"], rows=rows, at="e:12", version=0))
    assert _ids(replica) == {"b"}


def test_a_row_that_a_window_brought_anew_stays_with_its_filter() -> None:
    """A frame may be ahead of the cursor: the older removal is not of what it brought."""
    replica = Replica()
    replica.start_at("e:10")
    replica.subscribe("s1", Definition(entity="Note", where={"n": 1}))
    replica.page(_page(10, _row("a", 3, n=1)))
    replica.subscribe("w", Definition(entity="Note", where={}, order=["n"], limit=1))
    rows = [_row("a", 12, n=1)]
    replica.window(Window(subscription="w", ids=["a"], rows=rows, at="e:12", version=0))
    replica.apply(_batch(10, 12, _delete("a", 11, "filtered"), _upsert(_row("a", 12, n=1))))
    rows = [_row("b", 13, n=0)]
    replica.window(Window(subscription="w", ids=["b"], rows=rows, at="e:13", version=0))
    assert _ids(replica) == {"a", "b"}


def test_rows_deletes_and_cursor_are_one_save(replica: Replica) -> None:
    """What a step changed is written together, and once (I24)."""
    replica.apply(_batch(10, 12, _upsert(_row("b", 11)), _delete("a", 12)))
    save = replica.take_save()
    assert save is not None
    assert (save.cursor, save.deletes) == ("e:12", [("Note", "a")])
    assert save.puts == [("Note", _row("b", 11))]
    assert replica.take_save() is None


def test_a_reset_keeps_the_old_rows_in_sight_until_all_is_there(replica: Replica) -> None:
    """Nothing flickers while a resync hydrates; nothing is ready either."""
    replica.reset("e:20", is_kept=True)
    assert _ids(replica) == {"a"}
    assert not replica.is_ready("s1")
    replica.page(_page(20, _row("b", 15)))
    replica.release()
    assert _ids(replica) == {"b"}
    assert replica.is_ready("s1")


def test_a_reset_for_another_caller_shows_nothing(replica: Replica) -> None:
    """Rows of one principal are not shown to another for a moment (I33)."""
    replica.reset(None, is_kept=False)
    assert _ids(replica) == set()
    save = replica.take_save()
    assert save is not None
    assert save.reset


def test_stored_rows_are_concealed_until_revealed() -> None:
    """They are somebody's, and it is not known yet whose."""
    replica = Replica()
    one = Subscription(id="s1", definition=Definition(entity="Note", where={}), phase="done")
    stored = StoredReplica(cursor="e:4", rows=[("Note", _row("a", 3))], subscriptions=[one])
    replica.load(stored)
    assert _ids(replica) == set()
    assert not replica.is_ready("s1")
    replica.reveal()
    assert _ids(replica) == {"a"}
    assert replica.is_ready("s1")


def test_a_row_of_an_older_app_reads_the_new_field_s_default(replica: Replica) -> None:
    """An additive reload resyncs nobody."""
    field = FieldManifest(name="state", kind="str", type="string", default={"value": "new"})
    entity = EntityManifest(name="Note", fields=[field])
    replica.use_fields(
        Fields(Manifest(app="a", version="1", hash="h", entities=[entity], functions=[]))
    )
    assert replica.row("Note", "a") == _row("a", 3, state="new")
