"""Names of roles, whoever gives them."""

from __future__ import annotations

import pytest

from pylon.errors import InvalidArgument
from pylon.server.auth.roles import checked_role, checked_roles


def test_a_role_is_a_short_name() -> None:
    """As it is written, with its case."""
    assert checked_role("Editor") == "Editor"
    assert checked_roles(["a", "b", "a"]) == {"a", "b"}
    assert checked_roles([]) == frozenset()
    assert checked_roles(None) is None


@pytest.mark.parametrize("role", ["", "  ", "x" * 65, None, 5, ["a"]])
def test_what_is_no_name_is_no_role(role: object) -> None:
    """Neither alone nor in a list."""
    for check, given in ((checked_role, role), (checked_roles, ["a", role])):
        with pytest.raises(InvalidArgument):
            check(given)


@pytest.mark.parametrize("roles", ["admin", {"admin": True}, 5, ""])
def test_roles_are_a_list(roles: object) -> None:
    """A text is not the list of its letters."""
    with pytest.raises(InvalidArgument):
        checked_roles(roles)
