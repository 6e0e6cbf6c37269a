"""`PylonClient`: a replica for scripts, tests and tools. The same machine as in the browser.

async with connect("http://localhost:4321", token=…) as db:
    messages = db.query("Message", {"channelId": "c1"}, order=["sentAt"])
    await messages.ready()
    await db.insert("Message", channelId="c1", body="hi")
    async for rows in messages: …
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import msgspec

from pylon import jsonvalue
from pylon.client import events as ev
from pylon.client.compare import key_text
from pylon.client.connection import Connection, ServerRefused
from pylon.client.filters import compile_filter, sort_key
from pylon.client.live import Live
from pylon.client.machine import Machine
from pylon.client.neighbours import Neighbours
from pylon.client.pending import Effect, PendingMutation, effects_of
from pylon.client.query import Query
from pylon.client.row import ClientRow
from pylon.client.shell import Shell
from pylon.client.store import MemoryStore, Store
from pylon.client.subscription import Definition, seq_of
from pylon.client.uploading import Progress, Uploading
from pylon.clock import Clock, SystemClock, iso_ms
from pylon.errors import Unavailable
from pylon.ids import IdSource

#: How long stored subscriptions of an earlier run wait for a query that wants them again.
_DORMANT_SECONDS = 30.0
#: What an app sees of the machine's states.
_SHOWN = {"hydrating": "connecting", "closed": "offline"}


def connect(url: str, *, token: str | None = None, store: Path | str | None = None) -> PylonClient:
    """Return a client of a runtime; `async with` or `await` opens it.

    Args:
        url: where the runtime listens, such as http://localhost:4321.
        token: an API token (`pylon token USER`); None calls anonymously.
        store: a file that keeps the replica and what waits between runs; None keeps them in
            memory. One program at a time uses a file.
    """
    if store is None:
        return PylonClient(url, token=token)
    from pylon.client.store_sqlite import SqliteStore

    return PylonClient(url, token=token, store=SqliteStore(store))


class PylonClient:
    """One replica, connected until it is closed."""

    def __init__(
        self, url: str, *, token: str | None = None, store: Store | None = None,
        clock: Clock | None = None, ids: IdSource | None = None,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
    ) -> None:  # fmt: skip
        self._clock = clock or SystemClock()
        self._ids = ids or IdSource(self._clock, os.urandom)
        self._machine = Machine(lambda: int.from_bytes(self._ids.random_bytes(6)) / 2**48)
        self.shell = Shell(
            self._machine,
            lambda dispatch: Connection(url, token, dispatch, connector),
            store or MemoryStore(), self._clock, self._told,
        )  # fmt: skip
        # Rows that one token fetched are not shown to whoever holds another, nor to nobody.
        self._caller = hashlib.sha256((token or "").encode()).hexdigest()[:32]
        #: Subscriptions by definition: (id, how many queries stand on it).
        self._held: dict[str, tuple[str, int]] = {}
        self._queries: list[Query] = []
        #: Followed functions by call: (id, how many stand on it).
        self._followed: dict[str, tuple[str, int]] = {}
        self._lives: list[Live] = []
        self._calls = 0
        self._moved = asyncio.Event()
        self._subscriptions = 0

    # --- life

    async def open(self) -> Self:
        """Open the store and begin to connect; returns without waiting for the server."""
        for subscription_id in await self.shell.start(self._ids.uuid7(), self._caller):
            key = self._machine.replica.subscriptions[subscription_id].definition.key
            self._held[key] = (subscription_id, 0)
            self._subscriptions = max(self._subscriptions, int(subscription_id[1:]))
        if self._held:
            self.shell.spawn(self._drop_dormant())
        return self

    async def _drop_dormant(self) -> None:
        await self._clock.sleep(_DORMANT_SECONDS)
        for key, (subscription_id, count) in list(self._held.items()):
            if count == 0:
                del self._held[key]
                self.shell.dispatch(ev.Unsubscribed(id=subscription_id))

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.close()

    async def close(self) -> None:
        """Leave the server and close the store; what waits for an answer gets Unavailable."""
        await self.shell.stop()

    # --- state

    @property
    def status(self) -> ev.Status:
        """Return the state (connecting, live, offline, resyncing), how many wait, the error."""
        status = self._machine.status
        return msgspec.structs.replace(status, state=_SHOWN.get(status.state, status.state))

    @property
    def pending(self) -> list[PendingMutation]:
        """Return the mutations that are not confirmed yet, in the order made."""
        return self._machine.pending.all()

    @property
    def cursor(self) -> str | None:
        """Return the cursor: everything visible up to it is in the replica."""
        return self._machine.replica.cursor

    @property
    def user_id(self) -> str | None:
        """Return who the server says the caller is; None before it said so, and for anonymous."""
        return None if self.shell.caller is None else self.shell.caller.user_id

    @property
    def machine(self) -> Machine:
        """Return the machine, for tools that look inside."""
        return self._machine

    async def settled(self, timeout_s: float = 10.0) -> None:
        """Return when the replica is live and nothing is pending; raises TimeoutError."""
        await self._until(lambda: self.is_settled, timeout_s)

    @property
    def is_settled(self) -> bool:
        """Tell whether the replica is live and nothing is pending."""
        return self._machine.state == "live" and len(self._machine.pending) == 0

    async def until_cursor(self, seq: int, timeout_s: float = 10.0) -> None:
        """Return when everything through `seq` is in the replica; raises TimeoutError."""
        await self._until(lambda: seq_of(self.cursor) >= seq, timeout_s)

    async def _until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._moved.clear()
                await self._moved.wait()

    # --- reading

    def query(
        self, entity: str, where: Mapping[str, Any] | None = None, *,
        order: Sequence[str] | None = None, limit: int | None = None,
        include: Sequence[str] = (),
    ) -> Query:  # fmt: skip
        """Ask for rows to be kept current until the query is closed; equal ones share.

        `include` puts neighbours into the rows: paths of relations such as `channel.members`.
        """
        definition = Definition(
            entity=entity, where=dict(where or {}),
            order=None if order is None else list(order), limit=limit,
        )  # fmt: skip
        self.hold(definition)
        neighbours = Neighbours(self, entity, include) if include else None
        query = Query(self, definition, neighbours)
        self._queries.append(query)
        return query

    def live(self, fn: str, **args: Any) -> Live:
        """Follow the value of a query function until it is closed; equal calls share."""
        key = key_text([fn, args])
        subscription_id, count = self._followed.get(key, ("", 0))
        if not subscription_id:
            self._calls += 1
            subscription_id = f"f{self._calls}"
            self.shell.dispatch(ev.Followed(id=subscription_id, fn=fn, args=args))
        self._followed[key] = (subscription_id, count + 1)
        made = Live(self, key, subscription_id)
        self._lives.append(made)
        return made

    def end_live(self, live: Live) -> None:
        """Let a value go (`Live.close`)."""
        if live not in self._lives:
            return
        self._lives.remove(live)
        subscription_id, count = self._followed.pop(live.key)
        if count > 1:
            self._followed[live.key] = (subscription_id, count - 1)
        else:
            self.shell.dispatch(ev.Unsubscribed(id=subscription_id))

    def hold(self, definition: Definition) -> None:
        """Keep the rows of a definition current until `let_go`."""
        subscription_id, count = self._held.get(definition.key, ("", 0))
        if not subscription_id:
            self._subscriptions += 1
            subscription_id = f"s{self._subscriptions}"
            self.shell.dispatch(ev.Subscribed(id=subscription_id, definition=definition))
        self._held[definition.key] = (subscription_id, count + 1)

    def release(self, query: Query) -> None:
        """Let the rows go that no other query asks for (`Query.close`)."""
        if query not in self._queries:
            return
        self._queries.remove(query)
        self.let_go(query.definition)

    def let_go(self, definition: Definition) -> None:
        """Take one `hold` back."""
        key = definition.key
        subscription_id, count = self._held[key]
        self._held[key] = (subscription_id, count - 1)
        if count == 1:
            del self._held[key]
            self.shell.dispatch(ev.Unsubscribed(id=subscription_id))

    def is_ready(self, query: Query) -> bool:
        """Tell whether a query's rows are complete; raises ServerRefused where it was refused."""
        return self.has_all(query.definition)

    def has_all(self, definition: Definition) -> bool:
        """Tell whether the rows of a definition that is held are complete."""
        subscription_id, _ = self._held.get(definition.key, ("", 0))
        return self._machine.replica.is_ready(subscription_id)

    def error_of(self, definition: Definition) -> Mapping[str, Any] | None:
        """Return why the server refused a definition that is held, or None."""
        subscription_id, _ = self._held.get(definition.key, ("", 0))
        found = self._machine.replica.subscriptions.get(subscription_id)
        return None if found is None else found.error

    def rows(
        self, entity: str, where: Mapping[str, Any] | None = None, order: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[ClientRow]:  # fmt: skip
        """Return rows that open queries hold, pending mutations on top.

        Ordered as said, by id where nothing is said. What no query asks for is not here.
        """
        wants = compile_filter(dict(where or {}), entity, self.shell.fields)
        found = (row for row in self._machine.view.rows(entity) if wants(row))
        ordered = sorted(found, key=sort_key(order, entity, self.shell.fields))
        return [ClientRow(row) for row in ordered[:limit]]

    async def search(
        self, entity: str, text: str, where: Mapping[str, Any] | None = None, *,
        limit: int | None = None, include: Sequence[str] = (),
    ) -> list[ClientRow]:  # fmt: skip
        """Search on the server, once: rows with all these words, best first."""
        asked = {
            "q": text, "where": None if where is None else jsonvalue.encode_text(dict(where)),
            "limit": None if limit is None else str(limit), "include": ",".join(include) or None,
        }  # fmt: skip
        query = urlencode({name: one for name, one in asked.items() if one is not None})
        answer = await self.shell.connection.request("GET", f"/api/search/{entity}?{query}")
        return [ClientRow(row) for row in answer["rows"]]

    async def aggregate(
        self, entity: str, aggregates: Mapping[str, Mapping[str, str]], *,
        where: Mapping[str, Any] | None = None, group: Sequence[str] = (),
    ) -> list[ClientRow]:  # fmt: skip
        """Ask the server, once, for counts, sums and the like: one row per group."""
        body = {"aggregates": aggregates, "where": where, "group": list(group)}
        answer = await self.shell.connection.request("POST", f"/api/aggregate/{entity}", body=body)
        return [ClientRow(row) for row in answer["rows"]]

    # --- writing

    async def insert(self, entity: str, /, **values: Any) -> ClientRow:
        """Insert a row: in the view at once; returns the stored row when it is durable.

        Brings its own `id` or gets one. Raises ServerRefused with the server's code.
        """
        row_id = values.pop("id", None) or self._ids.uuid7()
        args = {"entity": entity, "id": row_id, "values": values}
        return ClientRow(await self.mutate("pylon.insert", args))

    async def update(self, entity: str, row_id: str, /, **values: Any) -> ClientRow:
        """Set these fields, leave the others; returns the stored row."""
        args = {"entity": entity, "id": row_id, "values": values}
        return ClientRow(await self.mutate("pylon.update", args))

    async def delete(self, entity: str, row_id: str) -> None:
        """Delete a row."""
        await self.mutate("pylon.delete", {"entity": entity, "id": row_id})

    async def call(self, name: str, /, **args: Any) -> Any:
        """Call a function of the app: a mutation in its turn, others by HTTP."""
        if self.shell.fields.manifest is None:
            await self.shell.fetch_manifest()
        if self.shell.fields.function_kind(name) == "mutation":
            return await self.mutate(name, args)
        answer = await self.shell.connection.request("POST", f"/api/fn/{name}", body=args)
        return answer.get("value")

    async def upload(
        self, source: bytes | Path | str, *, name: str | None = None, type: str | None = None,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Upload bytes, or the file at a path; returns the object that a field of a row takes.

        A large one goes in pieces, on after a lost connection; it tries for as long as that takes,
        and cancelled it is given up. Raises ServerRefused with the server's code, OSError.

        Args:
            source: the bytes, or where the file is.
            name: what people call it; by default the path's last part.
            type: its media type; by default by the name.
            on_progress: called with (bytes that the server has, all of them).
        """
        given = source if isinstance(source, bytes) else Path(source)
        label = name or (given.name if isinstance(given, Path) else "")
        one = Uploading(
            self.shell.connection.exchange, self._clock,
            lambda: int.from_bytes(self._ids.random_bytes(4)) / 2**32, given, name=label,
            kind=type, key=self._ids.uuid7(), on_progress=on_progress,
        )  # fmt: skip
        return await one.run()

    async def stream(self, name: str, /, **args: Any) -> AsyncGenerator[Any, None]:
        """Yield the parts of an action that streams; leaving early by `aclosing` cancels it."""
        async with aclosing(self.shell.connection.events(f"/api/fn/{name}", args)) as events:
            async for event, data in events:
                if event == "part":
                    yield data["value"]
                elif event == "error":
                    raise ServerRefused(data["error"])
                elif event == "returned":
                    return
        raise Unavailable("the stream broke off")

    async def mutate(self, fn: str, args: dict[str, Any]) -> Any:
        """Run a mutation under a new operation id; raises ServerRefused with the server's code."""
        return await self.start_mutation(fn, args)[1]

    def start_mutation(self, fn: str, args: dict[str, Any]) -> tuple[str, asyncio.Future[Any]]:
        """Queue a mutation; returns its operation id and the future of its answer."""
        at = iso_ms(self._clock.now_ms())
        mutation = PendingMutation(
            op_id=self._ids.uuid7(), fn=fn, args=args,
            effects=[self._filled_in(one, at) for one in effects_of(fn, args)], at=at,
            size=len(jsonvalue.encode(args)),
        )  # fmt: skip
        waiter = self.shell.wait_for(mutation.op_id)
        self.shell.dispatch(ev.Mutated(mutation=mutation))
        return mutation.op_id, waiter

    def discard(self, op_id: str) -> None:
        """Give a mutation of `pending` up: it leaves the view, and whoever waits is told.

        One that the server was sent already may still happen there.
        """
        self.shell.dispatch(ev.Discarded(op_id=op_id))

    def _filled_in(self, effect: Effect, at: str) -> Effect:
        if effect.kind != "insert" or isinstance(effect.values, msgspec.UnsetType):
            return effect
        values = self.shell.fields.with_defaults(effect.entity, effect.values, at, self.user_id)
        return msgspec.structs.replace(effect, values=values)

    # --- being told

    def _told(self, commands: list[ev.Command]) -> None:
        self._moved.set()
        for command in commands:
            if isinstance(command, ev.Publish):
                touched = {entity for entity, _ in command.changes}
                for query in list(self._queries):
                    query.note(touched)
                for live in list(self._lives):
                    live.note()
