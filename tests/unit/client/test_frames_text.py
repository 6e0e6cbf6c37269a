"""What a batch brings, in words."""

from __future__ import annotations

from typing import Any

from pylon.client.frames_text import change_words


def test_changes_in_words() -> None:
    """A row's own text, why it left, or of which rows a refresh is all there is."""
    head = {"seq": 3, "entity": "Note"}
    row: dict[str, Any] = {"id": "a", "_seq": 3}
    insert = {**head, "row_id": "a", "kind": "insert", "row": row}
    assert change_words(insert) == ("3", "insert", "Note", "a", '{"id":"a","_seq":3}')
    hidden = {**head, "row_id": "a", "kind": "delete", "cause": "hidden"}
    assert change_words(hidden)[-1] == "hidden"
    refresh = {**head, "kind": "refresh", "where": {"room": "r"}, "rows": [row], "done": False}
    assert change_words(refresh)[-1] == '1 row is all with {"room":"r"}, more to come'
