"""Meaning back to text: what is printed of a policy can be read again."""

from __future__ import annotations

import pytest

from pylon.policy.spelled import spelled
from tests.unit.policy.schemas import policy


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("isOwner()", "data.authorId == auth.userId"),
        ("auth.isAdmin and not data.open", "hasRole('admin') && !data.open"),
        ("auth.userId == null || auth.claims.a.b != null",
         "auth.userId == null || auth.claims.a.b != null"),
        ("data.count in [1, null] or data.count not in [2, null]",
         "data.count in [1, null] || data.count not in [2, null]"),
        ("data.price == 1.5", "data.price == 1.50"),
        ("data.sentAt + minutes(90) > now - seconds(1.5)",
         "data.sentAt > now - seconds(5401.500)"),
        ("contains(data.body, 'it\\'s\\n') && !startsWith(lower(data.body), \"a\")",
         "contains(data.body, 'it\\'s\\n') && !startsWith(lower(data.body), 'a')"),
        ("!(data.open && (data.count > 1 || data.count < 0))",
         "!(data.open && (data.count > 1 || data.count < 0))"),
        ("exists Membership(channelId == data.channelId, role in ['owner'], until != null)",
         "exists Membership(channelId == data.channelId, role in ['owner'], until != null)"),
        ("'a' in data.tags && len(auth.roles) > 0", "'a' in data.tags && len(auth.roles) > 0"),
    ],
)  # fmt: skip
def test_a_condition_is_spelled(text: str, wanted: str) -> None:
    """Each form has one spelling, and it means the same."""
    found = policy(text).condition
    assert spelled(found) == wanted
    assert policy(wanted).condition == found
