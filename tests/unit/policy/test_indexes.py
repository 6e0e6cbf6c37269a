"""The index that an exists needs."""

from __future__ import annotations

import pytest

from tests.unit.policy.schemas import mistakes


@pytest.mark.parametrize(
    "filters",
    ["channelId == 'a'", "channelId in ['a', 'b']", "id == 'a'", "role == 'owner', id == 'a'",
     "channelId in auth.roles"],
)  # fmt: skip
def test_an_indexed_key_is_enough(filters: str) -> None:
    """One filter by == or in on the first field of an index, or on the id, finds its rows."""
    assert mistakes(f"exists Membership({filters})") == []


@pytest.mark.parametrize(
    ("filters", "hint"),
    [
        ("userId == 'a'", 'add to Membership: by_userId = index("userId")'),
        ("userId == 'a', role in ['owner']", 'by_userId_role = index("userId", "role")'),
        ("channelId != 'a'", "compare an indexed field of Membership with == or in"),
        ("role == null", 'by_role = index("role")'),
    ],
)
def test_a_missing_index_is_named(filters: str, hint: str) -> None:
    """The advice is the line to add."""
    (found,) = mistakes(f"exists Membership({filters})")
    assert hint in found
