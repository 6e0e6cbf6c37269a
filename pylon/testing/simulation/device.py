"""A device under test: a machine with its shell, a store on disk, and somebody signed in on it."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.connection import Connection
from pylon.client.pending import PendingMutation, effects_of
from pylon.client.shell import Shell
from pylon.client.store import StoreCommand
from pylon.client.store_sqlite import SqliteStore
from pylon.client.subscription import Definition
from pylon.clock import iso_ms
from pylon.ids import IdSource
from pylon.protocol.messages import Changes
from pylon.sqlite import Connection as SqliteConnection
from pylon.sqlite import InlineEngine
from pylon.testing.inprocess import URL
from pylon.testing.network import MemoryNetwork
from pylon.testing.simulation.machines import MachineUnderTest, MakeMachine, PythonMachine
from pylon.testing.simulation.virtual_time import OWNER, VirtualClock, VirtualLoop


@dataclass(slots=True)
class Operation:
    """What became of one mutation, as the device was told."""

    op_id: str
    fn: str
    email: str | None
    #: waiting, applied, rejected, or kept for its author.
    state: str = "waiting"
    #: It was reported as stored here: from then on it may not get lost (I29).
    is_stored: bool = False
    value: Any = None
    code: str | None = None


class _WatchedStore(SqliteStore):
    """Notes which mutations are on disk."""

    def __init__(self, path: Path, engine: InlineEngine, operations: dict[str, Operation]) -> None:
        super().__init__(path, engine=engine)
        self._operations = operations

    async def write(self, commands: Sequence[StoreCommand]) -> None:
        await super().write(commands)
        for command in commands:
            if isinstance(command, ev.SavePending):
                found = self._operations.get(command.mutation.op_id)
                if found is not None:
                    found.is_stored = True


class _Engine(InlineEngine):
    def __init__(self, chance: random.Random) -> None:
        super().__init__(self._take_time)
        self._chance = chance
        self.opened: list[SqliteConnection] = []

    async def _take_time(self) -> None:
        drawn = self._chance.random()
        await asyncio.sleep(0.0 if drawn < 0.7 else drawn * 0.01)

    async def _open(self, target: str, *, uri: bool) -> SqliteConnection:
        connection = await super()._open(target, uri=uri)
        self.opened.append(connection)
        return connection


class _Connection(Connection):
    """A connection whose caller can be another one from now on, as a browser's by its cookie."""

    def call_as(self, token: str | None, connector: aiohttp.BaseConnector) -> None:
        """Leave what is open; what is asked from now on is asked by somebody else."""
        assert self._session is not None
        self.disconnect()
        self._keep(asyncio.create_task(self._session.close()))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._session = aiohttp.ClientSession(headers=headers, connector=connector)


class Device:
    """One device over its lives."""

    def __init__(
        self, name: str, path: Path, network: MemoryNetwork, clock: VirtualClock,
        loop: VirtualLoop, machine: MakeMachine, seed: int,
        told: Callable[[Device, list[ev.Command]], None],
    ) -> None:  # fmt: skip
        self.name = name
        self._path = path
        self._network = network
        self._clock = clock
        self._loop = loop
        self._make_machine = machine
        #: Of the machine in Node it is not known what a function shows.
        self.can_follow = machine is PythonMachine
        self._told = told
        self._seed = seed
        self._chance = random.Random(f"device {seed} {name}")  # noqa: S311 -- repeatable
        self._ids = IdSource(clock, self._chance.randbytes)
        self._engine = _Engine(self._chance)
        self._lives = self._swaps = 0
        self._connection: _Connection | None = None
        self.email: str | None = None
        self.session_id: str | None = None
        self.machine: MachineUnderTest | None = None
        self.shell: Shell | None = None
        self.operations: dict[str, Operation] = {}
        #: What the app on it has open: slot → definition, and the id of its subscription.
        self.open: dict[int, Definition] = {}
        self._subscriptions: dict[int, str] = {}
        #: Functions that it follows, likewise; and each call by the life and id it was asked with.
        self.followed: dict[int, tuple[str, dict[str, Any]]] = {}
        self.calls: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        self._last_id = 0
        #: Its app has asked for what it shows; before that, somebody else may have signed in.
        self._is_open = self._was_swapped = False
        self._last_batch: ev.Received | None = None
        #: Who the server last said is there; UNSET before it did.
        self.caller: str | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def link_name(self) -> str:
        """Return the name under which this life of the device is known to the network."""
        return f"{self.name}#{self._lives}"

    @property
    def next_link_name(self) -> str:
        """Return the name of the life to come."""
        return f"{self.name}#{self._lives + 1}"

    @property
    def swapped_link_name(self) -> str:
        """Return the name under which the network will know it after the next swap."""
        return f"{self.link_name}~{self._swaps + 1}"

    @property
    def is_up(self) -> bool:
        """Tell whether it runs."""
        return self.shell is not None

    # --- life

    async def start(
        self, email: str | None, token: str | None, session_id: str | None = None
    ) -> None:
        """Begin a life as somebody, on whatever the store holds."""
        assert self.shell is None
        self._lives += 1
        self.email, self.session_id = email, session_id
        self.caller, self._last_batch = msgspec.UNSET, None
        self._is_open = self._was_swapped = False
        self._subscriptions.clear()
        chance = random.Random(f"machine {self._seed} {self.name} {self._lives}")  # noqa: S311
        machine = self._make_machine(chance.random)
        name = self.link_name

        def connection(dispatch: Callable[[ev.Event], None]) -> Connection:
            def heard(event: ev.Event) -> None:
                if isinstance(event, ev.Received) and isinstance(event.message, Changes):
                    self._last_batch = event
                dispatch(event)

            self._connection = _Connection(URL, token, heard, lambda: self._network.connector(name))
            return self._connection

        self._engine = _Engine(self._chance)
        store = _WatchedStore(self._path, self._engine, self.operations)
        shell = Shell(machine, connection, store, self._clock, self._note)
        self.machine, self.shell = machine, shell
        context = contextvars.copy_context()
        context.run(OWNER.set, name)
        starting = self._loop.create_task(shell.start(self._ids.uuid7()), context=context)
        await asyncio.wait([starting])
        if starting.cancelled():
            return  # killed meanwhile
        stored = starting.result()
        self._last_id = max([0, *(int(one[1:]) for one in stored)])
        await self._in_context(self._reopen, stored)

    def _reopen(self, stored: list[str]) -> None:
        """Ask for what the app has open; what an earlier life asked for ends."""
        self._is_open = True
        if self._was_swapped:
            self._dispatch(ev.IdentityChanged())
        for slot in self.open:
            self._subscribe(slot)
        for slot in self.followed:
            self._follow(slot)
        for one in stored:
            self._dispatch(ev.Unsubscribed(id=one))

    async def _in_context(self, call: Callable[..., None], *args: Any) -> None:
        """Call something as the device's own program would."""
        context = contextvars.copy_context()
        context.run(OWNER.set, self.link_name)

        async def run() -> None:
            call(*args)

        await self._loop.create_task(run(), context=context)

    async def swap(self, email: str, token: str, session_id: str) -> None:
        """Go on as somebody else, without an end."""
        name = self.swapped_link_name
        self._swaps += 1
        self.email, self.session_id = email, session_id
        self.caller, self._last_batch = msgspec.UNSET, None

        def work() -> None:
            if self._connection is None:
                return
            self._connection.call_as(token, self._network.connector(name))
            if self._is_open:
                self._dispatch(ev.IdentityChanged())
            else:  # it is starting, as who was there before
                self._was_swapped = True

        await self._in_context(work)

    async def kill(self) -> None:
        """End as by `kill -9`: what was not written never will be."""
        if self.shell is None:
            return
        name = self.link_name
        shell, self.shell, self.machine, self._connection = self.shell, None, None, None
        for link in list(self._network.links):
            if link.client.partition("~")[0] == name:
                link.reset(is_noticed=self._chance.random() < 0.7)
        await self._loop.end_owner(name)
        await shell.connection.stop()
        for one in self._engine.opened:
            await one.close()
        self._engine.opened.clear()

    # --- what the app does

    async def show(self, slot: int, definition: Definition) -> None:
        """Open a query."""
        self.open[slot] = definition
        if self._is_open:
            await self._in_context(self._subscribe, slot)

    async def follow(self, slot: int, fn: str, args: dict[str, Any]) -> None:
        """Follow a function."""
        self.followed[slot] = (fn, args)
        if self._is_open:
            await self._in_context(self._follow, slot)

    def _follow(self, slot: int) -> None:
        self._last_id += 1
        fn, args = self.followed[slot]
        name = self._subscriptions[slot] = f"f{self._last_id}"
        self.calls[self.link_name, name] = (fn, args)
        self._dispatch(ev.Followed(id=name, fn=fn, args=args))

    async def hide(self, slot: int) -> None:
        """Close a query, or follow a function no more."""
        self.open.pop(slot, None)
        self.followed.pop(slot, None)
        subscription_id = self._subscriptions.pop(slot, None)
        if self.shell is not None and subscription_id is not None:
            await self._in_context(self._dispatch, ev.Unsubscribed(id=subscription_id))

    def _subscribe(self, slot: int) -> None:
        self._last_id += 1
        self._subscriptions[slot] = f"s{self._last_id}"
        self._dispatch(ev.Subscribed(id=self._subscriptions[slot], definition=self.open[slot]))

    async def mutate(self, fn: str, args: dict[str, Any]) -> None:
        """Make a mutation; its end is noted."""
        if not self._is_open:
            return
        mutation = PendingMutation(
            op_id=self._ids.uuid7(), fn=fn, args=args, effects=effects_of(fn, args),
            at=iso_ms(self._clock.now_ms()), size=len(jsonvalue.encode(args)),
        )  # fmt: skip
        self.operations[mutation.op_id] = Operation(mutation.op_id, fn, self.email)
        await self._in_context(self._dispatch, ev.Mutated(mutation=mutation))

    async def give_up(self) -> None:
        """Discard the oldest mutation that waits here."""
        waiting = [one for one in self.operations.values() if one.state == "waiting"]
        if self._is_open and waiting:
            await self._in_context(self._dispatch, ev.Discarded(op_id=waiting[0].op_id))

    async def echo(self) -> None:
        """Bring the last batch of changes once more."""
        if self._is_open and self._last_batch is not None:
            await self._in_context(self._dispatch, self._last_batch)

    def _dispatch(self, event: ev.Event) -> None:
        if self.shell is not None:
            self.shell.dispatch(event)

    def subscription_id(self, slot: int) -> str:
        """Return the id under which a slot is subscribed now; empty while it is not."""
        return self._subscriptions.get(slot, "")

    # --- what it is told

    def _note(self, commands: list[ev.Command]) -> None:
        for command in commands:
            match command:
                case ev.CallerKnown(caller=caller):
                    self.caller = caller.user_id
                case ev.Settle(settlement=settlement):
                    self._settle(settlement)
                case _:
                    pass
        self._told(self, commands)

    def _settle(self, settlement: Any) -> None:
        found = self.operations.get(settlement.op_id)
        if found is None or found.state in ("applied", "rejected"):
            return
        if isinstance(settlement.error, msgspec.UnsetType):
            found.state = "applied"
            value = settlement.value
            found.value = None if isinstance(value, msgspec.UnsetType) else value
        else:
            code = settlement.error.get("code")
            found.state = "kept" if code == "UNAUTHENTICATED" else "rejected"
            found.code = code
