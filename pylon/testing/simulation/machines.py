"""The machines under test, in one shape: Python's in process, TypeScript's in Node over a pipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from pylon.client import events as ev
from pylon.client.machine import Machine


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine shows of itself after a step."""

    state: str
    cursor: str | None
    #: The cursor up to which rows are shown; None while old ones are held in sight.
    shown_cursor: str | None
    pending: int
    is_hydrating: bool
    #: By subscription: is it complete as of the cursor.
    ready: dict[str, bool]


class MachineUnderTest(Protocol):
    """Steps, and what can be seen of it."""

    def step(self, event: ev.Event) -> list[ev.Command]:
        """Take what happened; return what to do about it."""
        ...

    def seen(self) -> Seen:
        """Return what it shows of itself now."""
        ...

    def base(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the confirmed rows in sight, by id."""
        ...

    def view(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the rows as apps see them, by id."""
        ...

    def followed(self, subscription_id: str) -> tuple[Any] | None:
        """Return what a followed function shows, a value or an error's code; None for nothing."""
        ...


#: Makes a machine from where it draws chance.
MakeMachine = Callable[[Callable[[], float]], MachineUnderTest]


class PythonMachine:
    """The machine of `pylon.client`."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._machine = Machine(random)

    def step(self, event: ev.Event) -> list[ev.Command]:
        """Take what happened; return what to do about it."""
        return self._machine.step(event)

    def seen(self) -> Seen:
        """Return what it shows of itself now."""
        machine = self._machine
        replica = machine.replica
        return Seen(
            state=machine.state, cursor=replica.cursor, shown_cursor=replica.shown_cursor,
            pending=len(machine.pending), is_hydrating=replica.is_hydrating,
            ready={one: replica.is_ready(one) for one in replica.subscriptions},
        )  # fmt: skip

    def base(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the confirmed rows in sight, by id."""
        return {row["id"]: dict(row) for row in self._machine.replica.rows(entity)}

    def view(self, entity: str) -> dict[str, dict[str, Any]]:
        """Return the rows as apps see them, by id."""
        return {row["id"]: dict(row) for row in self._machine.view.rows(entity)}

    def followed(self, subscription_id: str) -> tuple[Any] | None:
        """Return what a followed function shows, a value or an error's code; None for nothing."""
        found = self._machine.values.get(subscription_id)
        if found is None or not found.is_ready:
            return None
        return ({"error": found.error["code"]} if found.error is not None else found.value,)
