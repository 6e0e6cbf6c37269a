"""Names of roles as they are given: short texts, each with something in it. Pure."""

from __future__ import annotations

from typing import Final

from pylon.errors import InvalidArgument

_CHARACTERS_MAX: Final = 64


def checked_role(role: object) -> str:
    """Return the name of a role; raises InvalidArgument."""
    if not isinstance(role, str) or not role.strip() or len(role) > _CHARACTERS_MAX:
        raise InvalidArgument("role is a short name", field="role")
    return role


def checked_roles(roles: object) -> frozenset[str] | None:
    """Return a list of roles as a set, None where none is given; raises InvalidArgument."""
    if roles is None:
        return None
    if not isinstance(roles, list):
        raise InvalidArgument("roles is a list of names", field="roles")
    return frozenset(checked_role(one) for one in roles)
