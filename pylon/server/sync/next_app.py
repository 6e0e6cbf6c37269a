"""What the app that waits would do to those who are connected: who would have to start over, why.

Each subscription is asked by the routine that a reload asks it by. What does not live here: the
app's own code (`functions.next_code`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.errors import PylonError
from pylon.server.functions.live_run import followed_function
from pylon.server.storage.select import OrderTerm
from pylon.server.sync.channel import Connection
from pylon.server.sync.subscriber import Phase
from pylon.server.sync.subscription import FunctionSubscription, Subscription, recompiled

#: After so many the loop gets its turn; arguments of a function count by their size, too.
_AT_ONCE: Final = 200
_ARGS_BYTES_AS_ONE: Final = 512
#: So many kinds of each fate are told apart; subscriptions of further ones are counted.
_KINDS_MAX: Final = 1_000
_SHOWN_MAX: Final = 100
_ARGS_CHARACTERS: Final = 400


class Fate(StrEnum):
    """What becomes of a subscription."""

    REFUSED = "refused"
    STARTS_OVER = "starts over"


@dataclass(slots=True)
class _Group:
    """Equal subscriptions with the same fate."""

    shown: Mapping[str, Any]
    fate: Fate
    why: str
    clients: set[str] = field(default_factory=set)
    count: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            **self.shown, "fate": self.fate.value, "why": self.why,
            "clients": len(self.clients), "subscriptions": self.count,
        }  # fmt: skip


class _Kinds:
    """The kinds of subscriptions that do not go on, as many as are kept apart."""

    def __init__(self) -> None:
        self._groups: dict[Fate, dict[tuple[Any, ...], _Group]] = {one: {} for one in Fate}
        self._further = 0

    def note(self, shown: Mapping[str, Any], fate: Fate, why: str, client: str) -> None:
        """Take a subscription of a client."""
        groups, key = self._groups[fate], (*(repr(value) for value in shown.values()), why)
        if key not in groups:
            if len(groups) >= _KINDS_MAX:
                self._further += 1
                return
            groups[key] = _Group(shown, fate, why)
        groups[key].clients.add(client)
        groups[key].count += 1

    def to_json(self) -> dict[str, Any]:
        """Return those of most clients, what is refused first."""
        found = [
            one
            for fate in Fate
            for one in sorted(self._groups[fate].values(), key=lambda each: -len(each.clients))
        ]
        return {
            "kinds": len(found), "further": self._further,
            "subscriptions": [one.to_json() for one in found[:_SHOWN_MAX]],
        }  # fmt: skip


class _Pace:
    """Lets others have the loop in between."""

    def __init__(self) -> None:
        self._done = 0

    async def did(self, amount: int) -> None:
        """Count what was done since the loop had its turn."""
        self._done += amount
        if self._done >= _AT_ONCE:
            self._done = 0
            await asyncio.sleep(0)


async def clients_under(
    connections: Iterable[Connection], next_app: AppDefinition, *, rewritten: str | None
) -> dict[str, Any]:
    """Return what the app that is to come does to connected clients, as JSON.

    Args:
        connections: those that there are.
        next_app: the app.
        rewritten: the steps by which copies that clients hold are not the rows any more; None for
            none. Then everybody starts over, whatever he follows.
    """
    kinds, pace = _Kinds(), _Pace()
    resyncing: set[str] = set()
    everybody: set[str] = set()
    for connection in connections:
        machine = connection.subscriber
        if connection.is_ghost or machine.phase in (Phase.GREETING, Phase.CLOSED):
            continue
        client = connection.client_id or connection.id
        everybody.add(client)
        if rewritten is not None:
            resyncing.add(client)
        for one in list(machine.subscriptions.values()):
            told = _fate(one, next_app, connection, rewritten)
            if told is not None:
                resyncing.add(client)
                kinds.note(_shown(one), *told, client)
            await pace.did(1)
        for function in list(machine.functions.values()):
            refusal = _refusal(function, next_app, connection)
            if refusal is not None:
                kinds.note(_shown_function(function), Fate.REFUSED, refusal, client)
            await pace.did(1 + function.args_bytes // _ARGS_BYTES_AS_ONE)
    return {"connected": len(everybody), "resync": len(resyncing), **kinds.to_json()}


def _fate(
    one: Subscription, next_app: AppDefinition, connection: Connection, rewritten: str | None
) -> tuple[Fate, str] | None:
    try:
        made = recompiled(one, next_app, connection.identity)
    except PylonError as error:
        return Fate.REFUSED, error.message
    if [each.key for each in made.reaches] != [each.key for each in one.reaches]:
        return Fate.STARTS_OVER, "what it includes leads elsewhere"
    return None if rewritten is None else (Fate.STARTS_OVER, rewritten)


def _refusal(
    one: FunctionSubscription, next_app: AppDefinition, connection: Connection
) -> str | None:
    """Return why a function could not be followed any more, or not with these arguments."""
    try:
        function = followed_function(next_app, connection.identity, one.fn, one.args)
        function.arguments.decode(one.args)
    except PylonError as error:
        return error.message
    return None


def _shown(one: Subscription) -> dict[str, Any]:
    terms = one.order[:-1] if one.order[-1:] == (OrderTerm("id"),) else one.order
    order = [f"{'-' if term.descending else ''}{term.field}" for term in terms]
    return {
        "entity": one.entity.name, "fn": None, "where": one.filter_key, "order": order,
        "limit": one.limit, "include": list(one.include),
    }  # fmt: skip


def _shown_function(one: FunctionSubscription) -> dict[str, Any]:
    args = jsonvalue.encode_text(dict(one.args))[:_ARGS_CHARACTERS]
    return {"entity": None, "fn": one.fn, "where": args, "order": [], "limit": None, "include": []}
