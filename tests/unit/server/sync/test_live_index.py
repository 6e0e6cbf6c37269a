"""The index of read sets finds what asking each of them would find."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pylon.identity import ANONYMOUS
from pylon.policy.filters import compile_filter
from pylon.policy.slices import Slice
from pylon.schema.model import Entity, Field, FieldKind
from pylon.server.functions.readset import ReadSet
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.live_index import LiveIndex, concerns

NOTE = Entity(
    name="Note",
    fields=(Field(name="room", kind=FieldKind.STR, nullable=True),
            Field(name="n", kind=FieldKind.INT, nullable=True)),
)  # fmt: skip
FILTERS: list[dict[str, Any]] = [
    {}, {"room": "a"}, {"room": "b", "n": 1}, {"n": {">": 1}}, {"room": None}, {"id": "r1"},
    {"or": [{"room": "a"}, {"n": 2}]}, {"room": {"!=": "a"}},
]  # fmt: skip


def _reads(chance: random.Random) -> ReadSet:
    reads = ReadSet()
    for _ in range(chance.randint(0, 3)):
        if chance.random() < 0.3:
            reads.note_row("Note", f"r{chance.randint(0, 3)}")
        else:
            selected = compile_filter(chance.choice(FILTERS), entity=NOTE)
            reads.note_selection("Note", None, selected, ANONYMOUS)
    if chance.random() < 0.2:
        reads.note_time()
    return reads


def _record(chance: random.Random, seq: int) -> LogRecord:
    row_id = f"r{chance.randint(0, 3)}"

    def image() -> dict[str, Any]:
        return {"id": row_id, "room": chance.choice(["a", "b", None]),
                "n": chance.choice([1, 2, None])}  # fmt: skip

    before = image() if chance.random() < 0.6 else None
    after = image() if before is None or chance.random() < 0.6 else None
    moved = Slice("Note", (), None) if chance.random() < 0.1 else None
    if moved is not None:
        before = after = None
    entity = "Note" if chance.random() < 0.9 else "Other"
    return LogRecord(
        seq, seq, 0, entity, row_id, "update", before, after, None, None, None, None, moved
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_index_and_each_read_set_alone_say_the_same(seed: int) -> None:
    """Random read sets that come, change and go; random records."""
    chance = random.Random(seed)
    index: LiveIndex[int] = LiveIndex()
    kept: dict[int, ReadSet] = {}
    for step in range(60):
        key = chance.randint(0, 7)
        if chance.random() < 0.2:
            index.drop(key)
            kept.pop(key, None)
        else:
            kept[key] = _reads(chance)
            index.put(key, kept[key])
        record = _record(chance, step)
        alone = {one for one, reads in kept.items() if concerns(reads, [record])}
        assert set(index.concerned([record])) == alone
        assert len(index) == len(kept)
    for key in list(kept):
        index.drop(key)
    assert index.is_empty
