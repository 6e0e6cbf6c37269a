"""What a class of callers gets of a record: every pair of images, seen and not seen."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from pylon.schema.model import Row
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.projection import newest_seqs, project

#: What a judge says of an image: is it allowed, does a subscription match.
VIEWS = list(itertools.product((True, False), repeat=2))
RECORD = LogRecord(
    seq=7, tx=3, at_ms=0, entity="Note", row_id="r1", kind="update", before=None, after=None,
    wire='{"id":"r1","body":"secret"}', actor="u1", cause=None, operation_id="o1",
)  # fmt: skip


def _image(view: tuple[bool, bool] | None) -> Row | None:
    return None if view is None else {"view": view}


def _projected(
    before: tuple[bool, bool] | None, after: tuple[bool, bool] | None, *, is_newest: bool = True
) -> dict[str, object] | None:
    record = replace(RECORD, before=_image(before), after=_image(after))
    text = project(record, is_newest=is_newest, judge=lambda row: row["view"])  # type: ignore[arg-type,return-value]
    return None if text is None else json.loads(text)


@pytest.mark.parametrize("before", [None, *VIEWS])
@pytest.mark.parametrize("after", [None, *VIEWS])
def test_every_pair_of_images(
    before: tuple[bool, bool] | None, after: tuple[bool, bool] | None
) -> None:
    """It comes as insert, stays as update, leaves as delete that says why; else nothing is told."""
    change = _projected(before, after)
    was_seen, is_seen = before == (True, True), after == (True, True)
    if not was_seen and not is_seen:
        assert change is None
        return
    assert change is not None
    assert change["kind"] == {(False, True): "insert", (True, True): "update",
                              (True, False): "delete"}[was_seen, is_seen]  # fmt: skip
    assert ("row" in change) is is_seen
    is_gone = after is None
    why = None if is_seen or is_gone else "filtered" if after == (True, False) else "hidden"
    assert change.get("cause") == why


@pytest.mark.parametrize("before", [None, *VIEWS])
@pytest.mark.parametrize("after", [None, *VIEWS])
def test_an_older_record_shows_no_row(
    before: tuple[bool, bool] | None, after: tuple[bool, bool] | None
) -> None:
    """Where a later record of the row follows, this one can only take away what was seen."""
    change = _projected(before, after, is_newest=False)
    if before == (True, True):
        assert change == {"seq": 7, "entity": "Note", "row_id": "r1", "kind": "delete", "tx": 3,
                          "at": "1970-01-01T00:00:00.000Z"}  # fmt: skip
    else:
        assert change is None


def test_what_leaves_has_no_content() -> None:
    """No delete carries a row's text, its actor or the operation's id."""
    for before, after in itertools.product(VIEWS, [None, *VIEWS]):
        change = _projected(before, after)
        if change is not None and change["kind"] == "delete":
            assert not {"secret", "u1", "o1"} & set(json.dumps(change).replace('"', " ").split())


def test_the_newest_of_each_row() -> None:
    """Rows of two entities with one id are two rows."""
    records = [
        replace(RECORD, seq=1),
        replace(RECORD, seq=2, entity="Other"),
        replace(RECORD, seq=5),
    ]
    assert newest_seqs(records) == {("Note", "r1"): 5, ("Other", "r1"): 2}
