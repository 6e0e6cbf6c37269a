"""The shell around the machine: carries its commands out, and tells it what happened.

Holds no rule. What does not live here: what scripts call (`client`), sockets (`connection`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.connection import Connection, ServerRefused, spawn
from pylon.client.fields import Fields
from pylon.client.pending import Settlement
from pylon.client.store import MemoryStore, Store, StoreCommand
from pylon.clock import Clock
from pylon.errors import PylonError, Unavailable
from pylon.protocol.change import ChangeBatch
from pylon.protocol.manifest import Manifest

_log = logging.getLogger("pylon.client")
_PULL_LIMIT: Final = "1000"


class Steps(Protocol):
    """The machine as the shell needs it: this one, or another language's over a pipe."""

    def step(self, event: ev.Event) -> list[ev.Command]:
        """Take what happened; return what to do about it."""
        ...


class Shell:
    """Timers, store, socket and waiters of one machine."""

    def __init__(
        self, machine: Steps, connection: Callable[[Callable[[ev.Event], None]], Connection],
        store: Store, clock: Clock, told: Callable[[list[ev.Command]], None],
    ) -> None:  # fmt: skip
        """Make a shell.

        Args:
            machine: decides.
            connection: makes the socket's shell from where to tell what happens.
            store: where the replica is kept.
            clock: measures the timers.
            told: sees every step's commands, after they were carried out.
        """
        self.machine = machine
        self.connection = connection(self.dispatch)
        self.fields = Fields()
        self.caller: ev.Caller | None = None
        self.is_persistent = not isinstance(store, MemoryStore)
        self._store = store
        self._clock = clock
        self._told = told
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._waiters: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._events: deque[ev.Event] = deque()
        self._is_stepping = False
        self._unwritten: list[StoreCommand | ev.LoadPending] = []
        self._has_unwritten = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._is_flushed = asyncio.Event()
        self._is_flushed.set()

    # --- life

    async def start(self, new_id: str, caller: str | None = None) -> list[str]:
        """Open the store and begin to connect; returns the ids of stored subscriptions.

        Args:
            new_id: the client's name, where the store has none yet.
            caller: stands for who opens the store (`Store.open`).
        """
        await self.connection.start()
        kept = await self._store.open(new_id, caller)
        if isinstance(kept.manifest, Manifest):
            self.fields = Fields(kept.manifest)
        self._writing = asyncio.create_task(self._write(), name="pylon client store")
        self.dispatch(
            ev.Started(
                client_id=kept.client_id or new_id, stored=kept.replica,
                principal=kept.principal, pending=kept.pending, manifest=kept.manifest,
            )
        )  # fmt: skip
        stored = kept.replica
        return [] if isinstance(stored, msgspec.UnsetType) else [one.id for one in
                                                                 stored.subscriptions]  # fmt: skip

    async def stop(self) -> None:
        """Leave the server, write what is left; what waits for an answer gets Unavailable."""
        self.dispatch(ev.Closed())
        await self.flushed()
        await self.abandon()
        await self._store.close()

    async def abandon(self) -> None:
        """Drop everything as a killed process would: nothing more is said or written."""
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(Unavailable("the client was closed"))
        tasks = [*self._tasks, *self._timers.values()]
        tasks += [self._writing] if self._writing is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.connection.stop()

    async def flushed(self) -> None:
        """Return when everything is in the store."""
        await self._is_flushed.wait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that ends with the shell."""
        spawn(work, self._tasks)

    def wait_for(self, op_id: str) -> asyncio.Future[Any]:
        """Return the future of a mutation's answer."""
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters[op_id] = waiter
        return waiter

    # --- carrying out

    def dispatch(self, event: ev.Event) -> None:
        """Step the machine; events that commands bring about wait for their turn."""
        self._events.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._events:
                commands = self.machine.step(self._events.popleft())
                for command in commands:
                    self._carry_out(command)
                self._told(commands)
        finally:
            self._is_stepping = False

    def _carry_out(self, command: ev.Command) -> None:  # one line for each command
        match command:
            case ev.Connect():
                self.connection.connect()
            case ev.Disconnect():
                self.connection.disconnect()
            case ev.Send(message=message):
                self.connection.send(message)
            case ev.SetTimer(timer=timer, ms=ms):
                self._clear_timer(timer)
                self._timers[timer] = asyncio.create_task(self._run_timer(timer, ms / 1000))
            case ev.ClearTimer(timer=timer):
                self._clear_timer(timer)
            case ev.Pull():
                spawn(self._pull(command), self._tasks)
            case ev.SaveReplica() | ev.Wipe() | ev.SavePending() | ev.DropPending():
                self._keep(command)
            case ev.LoadPending():
                self._keep(command)
            case ev.Settle(settlement=settlement):
                self._settle(settlement)
            case ev.FetchManifest():
                spawn(self.fetch_manifest(), self._tasks)
            case ev.CallerKnown(caller=caller):
                self.caller = caller
            case ev.ForgetSession() | ev.Publish() | ev.StatusChanged():
                pass  # a token is not a cookie; readers look when they are told

    def _settle(self, settlement: Settlement) -> None:
        waiter = self._waiters.pop(settlement.op_id, None)
        if waiter is None or waiter.done():
            return
        if isinstance(settlement.error, msgspec.UnsetType):
            waiter.set_result(settlement.value)
        else:
            waiter.set_exception(ServerRefused(settlement.error))

    async def _run_timer(self, timer: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if self._timers.get(timer) is asyncio.current_task():
            del self._timers[timer]
            self.dispatch(ev.Fired(timer=timer))

    def _clear_timer(self, timer: str) -> None:
        task = self._timers.pop(timer, None)
        if task is not None:
            task.cancel()

    # --- the store

    def _keep(self, command: StoreCommand | ev.LoadPending) -> None:
        self._unwritten.append(command)
        self._is_flushed.clear()
        self._has_unwritten.set()

    async def _write(self) -> None:
        while True:
            await self._has_unwritten.wait()
            self._has_unwritten.clear()
            while self._unwritten:
                taken, self._unwritten = self._unwritten, []
                await self._write_in_order(taken)
            self._is_flushed.set()

    async def _write_in_order(self, taken: list[StoreCommand | ev.LoadPending]) -> None:
        batch: list[StoreCommand] = []
        for command in taken:
            if isinstance(command, ev.LoadPending):
                await self._write_batch(batch)
                batch = []
                await self._load_pending(command.principal)
            else:
                batch.append(command)
        await self._write_batch(batch)

    async def _write_batch(self, batch: list[StoreCommand]) -> None:
        if not batch:
            return
        try:
            await self._store.write(batch)
        except PylonError as error:
            await self._go_on_in_memory(error)
            return
        saves = [one for one in batch if isinstance(one, ev.SaveReplica)]
        if saves:
            self.dispatch(ev.Saved(cursor=saves[-1].save.cursor))

    async def _load_pending(self, principal: str | None) -> None:
        try:
            pending = await self._store.pending_of(principal)
        except PylonError as error:
            await self._go_on_in_memory(error)
            pending = []
        self.dispatch(ev.PendingLoaded(principal=principal, pending=pending))

    async def _go_on_in_memory(self, error: PylonError) -> None:
        """Keep serving where the store fails: what is not written now never will be."""
        _log.warning("client.store_failed %s; going on in memory", error.message)
        await self._store.close()
        self._store = MemoryStore()
        self.is_persistent = False

    # --- requests

    async def _pull(self, command: ev.Pull) -> None:
        subscriptions = jsonvalue.encode_text(command.subscriptions)
        params = {
            "cursor": command.cursor, "limit": _PULL_LIMIT, "subscriptions": subscriptions
        }  # fmt: skip
        try:
            answer = await self.connection.request("GET", "/api/sync/pull", params=params)
            batch = msgspec.convert(answer, ChangeBatch)
        except PylonError as error:
            self.dispatch(ev.PullFailed(id=command.id, error=error.to_wire()))
        except msgspec.ValidationError as error:
            failed = Unavailable(f"the answer is no batch: {error}")
            self.dispatch(ev.PullFailed(id=command.id, error=failed.to_wire()))
        else:
            self.dispatch(ev.Pulled(id=command.id, batch=batch))

    async def fetch_manifest(self) -> None:
        """Fetch the app's description; without an answer the next welcome names it again."""
        try:
            answer = await self.connection.request("GET", "/api/schema")
            manifest = msgspec.convert(answer, Manifest)
        except (PylonError, msgspec.ValidationError):
            return
        self.fields = Fields(manifest)
        self._keep(ev.ManifestKnown(manifest=manifest))
        self.dispatch(ev.ManifestKnown(manifest=manifest))
