"""`PylonClient`: a replica for scripts, tests and tools. The same machine as in the browser.

async with PylonClient("http://localhost:4321", token=…) as client:
    client.subscribe("Message", where={"channelId": "c1"})
    await client.settled()
    client.rows("Message")
    await client.insert("Message", channelId="c1", body="hi")
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.connection import Connection, ServerRefused, spawn
from pylon.client.fields import Fields
from pylon.client.filters import compile_filter, sort_key
from pylon.client.machine import Machine
from pylon.client.pending import Effect, PendingMutation, Settlement, effects_of
from pylon.client.rows import WireRow
from pylon.client.store import MemoryStore
from pylon.client.subscription import Definition
from pylon.clock import Clock, SystemClock, iso_ms
from pylon.errors import PylonError, Unavailable
from pylon.ids import IdSource
from pylon.protocol.change import ChangeBatch
from pylon.protocol.manifest import Manifest


class PylonClient:
    """One replica, connected until it is closed."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._ids = ids or IdSource(self._clock, os.urandom)
        self.machine = Machine(lambda: int.from_bytes(self._ids.random_bytes(6)) / 2**48)
        self.connection = Connection(url, token, self._dispatch)
        self.store = MemoryStore()
        self.fields = Fields()
        self.user_id: str | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiters: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._events: deque[ev.Event] = deque()
        self._is_stepping = False
        self._moved = asyncio.Event()
        self._subscriptions = 0

    async def __aenter__(self) -> Self:
        await self.connection.start()
        self._dispatch(ev.Started(client_id=self._ids.uuid7()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave the server; what waits for an answer gets Unavailable."""
        self._dispatch(ev.Closed())
        for handle in self._timers.values():
            handle.cancel()
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(Unavailable("the client was closed"))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.stop()

    # --- reading

    def subscribe(
        self,
        entity: str,
        where: dict[str, Any] | None = None,
        *,
        order: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> str:
        """Ask for rows to be kept current; returns the subscription's id."""
        self._subscriptions += 1
        subscription_id = f"s{self._subscriptions}"
        definition = Definition(
            entity=entity,
            where=where or {},
            order=None if order is None else list(order),
            limit=limit,
        )
        self._dispatch(ev.Subscribed(id=subscription_id, definition=definition))
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """Let rows go that nothing else asks for."""
        self._dispatch(ev.Unsubscribed(id=subscription_id))

    def rows(
        self, entity: str, where: dict[str, Any] | None = None, order: Sequence[str] = ()
    ) -> list[WireRow]:
        """Return the rows of the view, ordered; by id where nothing is said."""
        wants = compile_filter(where or {}, entity, self.fields)
        found = (row for row in self.machine.view.rows(entity) if wants(row))
        return sorted(found, key=sort_key(order, entity, self.fields))

    async def settled(self, timeout_s: float = 10.0) -> None:
        """Return when the replica is live and nothing is pending; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.machine.state != "live" or len(self.machine.pending) > 0:
                self._moved.clear()
                await self._moved.wait()

    async def until_cursor(self, seq: int, timeout_s: float = 10.0) -> None:
        """Return when everything through `seq` is in the replica; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while int((self.machine.replica.cursor or ":0").rpartition(":")[2]) < seq:
                self._moved.clear()
                await self._moved.wait()

    # --- writing

    async def insert(self, entity: str, **values: Any) -> Any:
        """Insert a row: in the view at once; returns the stored row when it is durable."""
        row_id = values.pop("id", None) or self._ids.uuid7()
        return await self.mutate("pylon.insert", {"entity": entity, "id": row_id, "values": values})

    async def update(self, entity: str, row_id: str, **values: Any) -> Any:
        """Set these fields, leave the others; returns the stored row."""
        return await self.mutate("pylon.update", {"entity": entity, "id": row_id, "values": values})

    async def delete(self, entity: str, row_id: str) -> None:
        """Delete a row."""
        await self.mutate("pylon.delete", {"entity": entity, "id": row_id})

    async def call(self, name: str, **args: Any) -> Any:
        """Call a function of the app: a mutation in its turn, others by HTTP."""
        if self.fields.manifest is None:
            await self._fetch_manifest()
        if self.fields.function_kind(name) == "mutation":
            return await self.mutate(name, args)
        answer = await self.connection.request("POST", f"/api/fn/{name}", body=args)
        return answer.get("value")

    async def mutate(self, fn: str, args: dict[str, Any]) -> Any:
        """Run a mutation under a new operation id; raises ServerRefused with the server's code."""
        at = iso_ms(self._clock.now_ms())
        mutation = PendingMutation(
            op_id=self._ids.uuid7(),
            fn=fn,
            args=args,
            effects=[self._filled_in(one, at) for one in effects_of(fn, args)],
            at=at,
            size=len(jsonvalue.encode(args)),
        )
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters[mutation.op_id] = waiter
        self._dispatch(ev.Mutated(mutation=mutation))
        return await waiter

    def _filled_in(self, effect: Effect, at: str) -> Effect:
        if effect.kind != "insert" or isinstance(effect.values, msgspec.UnsetType):
            return effect
        values = self.fields.with_defaults(effect.entity, effect.values, at, self.user_id)
        return msgspec.structs.replace(effect, values=values)

    # --- carrying out

    def _dispatch(self, event: ev.Event) -> None:
        """Step the machine; events that commands bring about wait for their turn."""
        self._events.append(event)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._events:
                for command in self.machine.step(self._events.popleft()):
                    self._carry_out(command)
        finally:
            self._is_stepping = False
            self._moved.set()

    def _carry_out(self, command: ev.Command) -> None:  # noqa: C901  # one line for each command
        match command:
            case ev.Connect():
                self.connection.connect()
            case ev.Disconnect():
                self.connection.disconnect()
            case ev.Send(message=message):
                self.connection.send(message)
            case ev.SetTimer(timer=timer, ms=ms):
                self._set_timer(timer, ms)
            case ev.ClearTimer(timer=timer):
                self._clear_timer(timer)
            case ev.Pull():
                spawn(self._pull(command), self._tasks)
            case ev.SaveReplica(save=save):
                self.store.save(save)
                self._dispatch(ev.Saved(cursor=save.cursor))
            case ev.Wipe(principal=principal):
                self.store.wipe(principal)
            case ev.LoadPending(principal=principal):
                pending = self.store.pending_of(principal)
                self._dispatch(ev.PendingLoaded(principal=principal, pending=pending))
            case ev.SavePending(mutation=mutation):
                self.store.save_pending(mutation)
            case ev.DropPending(op_id=op_id):
                self.store.drop_pending(op_id)
            case ev.Settle(settlement=settlement):
                self._settle(settlement)
            case ev.FetchManifest():
                spawn(self._fetch_manifest(), self._tasks)
            case ev.CallerKnown(caller=caller):
                self.user_id = caller.user_id
            case ev.ForgetSession() | ev.Publish() | ev.StatusChanged():
                pass  # a token is not a cookie; readers look when they are woken

    def _settle(self, settlement: Settlement) -> None:
        waiter = self._waiters.pop(settlement.op_id, None)
        if waiter is None or waiter.done():
            return
        if isinstance(settlement.error, msgspec.UnsetType):
            waiter.set_result(settlement.value)
        else:
            waiter.set_exception(ServerRefused(settlement.error))

    def _set_timer(self, timer: str, ms: int) -> None:
        self._clear_timer(timer)
        loop = asyncio.get_running_loop()
        self._timers[timer] = loop.call_later(ms / 1000, self._dispatch, ev.Fired(timer=timer))

    def _clear_timer(self, timer: str) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    async def _pull(self, command: ev.Pull) -> None:
        subscriptions = jsonvalue.encode_text(command.subscriptions)
        params = {"cursor": command.cursor, "limit": "1000", "subscriptions": subscriptions}
        try:
            answer = await self.connection.request("GET", "/api/sync/pull", params=params)
        except PylonError as error:
            self._dispatch(ev.PullFailed(id=command.id, error=error.to_wire()))
        else:
            batch = msgspec.convert(answer, ChangeBatch)
            self._dispatch(ev.Pulled(id=command.id, batch=batch))

    async def _fetch_manifest(self) -> None:
        try:
            answer = await self.connection.request("GET", "/api/schema")
        except PylonError:
            return  # the next welcome names it again
        manifest = msgspec.convert(answer, Manifest)
        self.fields = Fields(manifest)
        self._dispatch(ev.ManifestKnown(manifest=manifest))
