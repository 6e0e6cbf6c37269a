"""What is known of what a client holds: no more than it has acknowledged, and no less."""

from __future__ import annotations

import pytest

from pylon.client.past_text import HELD_WORDS, held_words


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("row", "has acknowledged change 40: it holds version 38 of this row"),
        ("not_visible", "has acknowledged change 40: it does not hold the row: its user may not"),
        ("no_row", "has acknowledged change 40: it does not hold the row, which was not there"),
        ("windows", "follow no cursor: unknown"),
        ("unknown", "what it holds of this row is unknown (the log was trimmed)"),
    ],
)
def test_a_client_is_told_of_by_what_it_acknowledged(held: str, said: str) -> None:
    """The number that it acknowledged, the version that follows from it, and changes above."""
    client = {
        "held": held, "seq": 40, "unseen": [41, 44],
        "row": {"id": "t1", "_seq": 38} if held == "row" else None,
        "reason": "the log was trimmed" if held == "unknown" else None,
    }  # fmt: skip
    words = held_words(client)
    assert said in words
    assert words.endswith("; not acknowledged yet: 41, 44")
    assert held in HELD_WORDS
