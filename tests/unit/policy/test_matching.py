"""The filters of an exists over one row in memory."""

from __future__ import annotations

import pytest

from pylon.policy import ir
from pylon.policy.matching import matches, satisfied
from pylon.policy.slots import walk
from tests.unit.policy.looked_at import member
from tests.unit.policy.schemas import policy


def _node(filters: str) -> ir.ExistsNode:
    found = walk(policy(f"exists Membership(channelId == 'c1', {filters})").condition)
    return next(one for one in found if isinstance(one, ir.ExistsNode))


@pytest.mark.parametrize(
    ("filters", "values", "wanted"),
    [
        ("role == 'owner'", ("owner",), False), ("role != 'owner'", ("owner",), False),
        ("role == null", (), True), ("role != null", (), False),
        ("role in ['owner']", ("owner",), False), ("role not in ['owner']", ("owner",), False),
        ("userId in ['u1', 'u2']", ("u1", "u2"), True), ("userId in []", (), False),
        ("userId not in []", (), True), ("userId not in ['u2']", ("u2",), True),
        ("userId in auth.roles", ('["u1"]',), True), ("userId in auth.roles", ('["x"]',), False),
        ("userId not in auth.roles", ('["x"]',), True), ("userId >= 'u0'", ("u0",), True),
        ("userId < 'u1'", ("u1",), False),
    ],
)  # fmt: skip
def test_filters(filters: str, values: tuple[str, ...], wanted: bool) -> None:
    """A null in the row satisfies nothing but `== null`."""
    row = member("m1", "c1", "u1")
    node = _node(filters)
    assert satisfied(node, ("c1", *values), row) == (True, wanted)
    assert matches(node, ("c1", *values), row) is wanted
    assert satisfied(node, ("c2", *values), row) == (False, wanted)
