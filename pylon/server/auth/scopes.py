"""What a token may do: the one gate for HTTP, sync, push and functions.

A scope is judged where something is asked for from outside: an entity by its name, a function by
its own. Inside a function that it lets through, the user's whole authority holds, as for any
caller. A scope never widens anything: the policies are asked all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument, PolicyDenied
from pylon.identity import Identity, Scope
from pylon.policy.mistakes import nearest

_MEMBERS: Final = ("read_only", "entities", "functions")
_ROW_WRITES: Final = "pylon."


def scope_of(given: object, definition: AppDefinition | None = None) -> Scope | None:
    """Return the scope that a caller describes; None for all that the user may.

    Args:
        given: `{"read_only"?, "entities"?, "functions"?}` or None.
        definition: the app, whose names are checked; None: they are not known here.

    Raises InvalidArgument.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given:
        raise InvalidArgument(f"a scope has some of {', '.join(_MEMBERS)}", field="scope")
    for name in given:
        if name not in _MEMBERS:
            hint = nearest(str(name), _MEMBERS)
            raise InvalidArgument(f"a scope has no {str(name)[:64]}", field="scope", hint=hint)
    is_read_only = given.get("read_only", False)
    if not isinstance(is_read_only, bool):
        raise InvalidArgument("read_only is true or false", field="read_only")
    known = None if definition is None else definition.schema.entities
    own = None if definition is None else _callable(definition)
    return Scope(is_read_only, _names(given, "entities", known), _names(given, "functions", own))


def _callable(definition: AppDefinition) -> list[str]:
    return [one.name for one in definition.functions.values() if not one.is_internal]


def _names(
    given: Mapping[str, Any], member: str, known: Collection[str] | None
) -> frozenset[str] | None:
    names = given.get(member)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise InvalidArgument(f"{member} is a list of names", field=member)
    for one in names if known is not None else ():
        if known is not None and one not in known:
            hint = nearest(one, known)
            raise InvalidArgument(f"{member}: there is no {one[:64]}", field=member, hint=hint)
    return frozenset(names)


def scope_json(scope: Scope | None) -> dict[str, Any] | None:
    """Return a scope as it is shown and stored."""
    if scope is None:
        return None
    shown: dict[str, Any] = {"read_only": scope.is_read_only}
    for member, names in (("entities", scope.entities), ("functions", scope.functions)):
        if names is not None:
            shown[member] = sorted(names)
    return shown


def stored_scope(text: str | None) -> Scope | None:
    """Return the scope that a session's row has."""
    return None if text is None else scope_of(jsonvalue.decode_trusted(text))


def may_entity(identity: Identity, name: str) -> bool:
    """Tell whether the scope of a caller's token has an entity in it."""
    scope = identity.scope
    return scope is None or scope.entities is None or name in scope.entities


def demand_entity(identity: Identity, name: str) -> None:
    """Raise PolicyDenied unless the scope of a caller's token has an entity in it."""
    if not may_entity(identity, name):
        raise PolicyDenied(f"this token's scope has no {name}")


def demand_call(
    identity: Identity, fn: str, args: Mapping[str, Any], *, is_query: bool = False
) -> None:
    """Raise PolicyDenied unless the scope of a caller's token lets him call a function.

    Args:
        identity: who calls.
        fn: the function; writes of rows are some of `pylon.`.
        args: its arguments.
        is_query: it writes nothing.
    """
    scope = identity.scope
    if scope is None:
        return
    if scope.is_read_only and not is_query:
        raise PolicyDenied("this token only reads")
    if fn.startswith(_ROW_WRITES):
        demand_entity(identity, str(args.get("entity")))
    elif scope.functions is not None and fn not in scope.functions:
        raise PolicyDenied(f"this token's scope has no {fn}")


def demand_unscoped(identity: Identity) -> None:
    """Raise PolicyDenied for a token with a scope: it manages no account."""
    if identity.scope is not None:
        raise PolicyDenied("a token with a scope can't manage the account")
