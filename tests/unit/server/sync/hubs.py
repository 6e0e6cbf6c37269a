"""A real database, a real hub, and sockets that are lists: sync without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
from typing_extensions import override

from pylon import jsonvalue
from pylon.app.loader import load_app
from pylon.clock import SystemClock
from pylon.identity import Identity, IdentityKind
from pylon.ids import IdSource
from pylon.protocol.change import Cursor, parse_cursor
from pylon.protocol.messages import Hello, Subscribe
from pylon.server.auth.sessions import SessionService
from pylon.server.functions.app_code import AppCode
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.mail.mailer import Mailer
from pylon.server.mail.templates import MailTemplates
from pylon.server.storage.database import Database
from pylon.server.storage.known_policies import use_policies
from pylon.server.storage.migrate import migrate
from pylon.server.storage.transaction import Transaction
from pylon.server.sync.channel import Connection
from pylon.server.sync.hub import Hub
from pylon.server.sync.subscriber import Subscriber

APP = """
from __future__ import annotations

from pylon import App, Entity, Text, field, index

app = App("hubs")


@app.entity(read="data.owner == auth.userId || data.secret == false", insert="true")
class Note(Entity):
    owner: str
    secret: bool = False
    rank: int | None = None
    text: Text = ""
    scar: str | None = field(default=None, private=True)


@app.entity(read="exists Member(room == data.room, userId == auth.userId)", insert="true")
class Message(Entity):
    room: str
    text: Text = ""


@app.entity(read="auth.userId != null", insert="true")
class Member(Entity):
    room: str
    userId: str

    by_room = index("room", "userId")
"""


def user(name: str, *roles: str) -> Identity:
    """Return a signed-in caller."""
    return Identity(
        kind=IdentityKind.USER, user_id=name, email=f"{name}@example.com", roles=frozenset(roles)
    )


class ListTransport:
    """A transport whose other side reads at once, or not at all while it is `stuck`."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.stuck = False
        self.queued = 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.writes.append(data)
        self.queued += len(data) if self.stuck else 0

    def drain(self) -> None:
        """Have the other side read everything."""
        self.stuck, self.queued = False, 0

    def get_write_buffer_size(self) -> int:
        """Return how much waits."""
        return self.queued

    def is_closing(self) -> bool:
        """Tell whether it was aborted."""
        return self.is_aborted

    def abort(self) -> None:
        """End it."""
        self.is_aborted = True


class Sessions(SessionService):
    """Sessions that never end unless a test says so."""

    def __init__(self, database: Database) -> None:
        clock = SystemClock()
        super().__init__(database, clock, IdSource(clock, bytes))
        self.now: dict[str, Identity] = {}

    def end(self, session_id: str | None, user_id: str, reason: str) -> None:
        """Say that sessions have ended, or are another's now."""
        for listener in self._listeners:
            listener(session_id, user_id, reason)

    @override
    def watch_expiry(self, identity: Identity) -> bool:
        return True

    @override
    def identity_now(self, user_id: str, session_id: str | None) -> Identity | None:
        # A commit tells of its change of roles by itself: the account knows them by then.
        return self.now.get(user_id) or super().identity_now(user_id, session_id)

    def oldest_cursor(self, identity: Identity) -> int:
        """Let every cursor go on: no role was ever changed."""
        return 0


class Peer:
    """One connection as its client has it: what came, and a replica by the letter."""

    def __init__(self, hubs: Hubs, connection: Connection, transport: ListTransport) -> None:
        self.hubs = hubs
        self.connection = connection
        self.transport = transport
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.cursor = ""
        self.seen: list[dict[str, Any]] = []
        self.windows: dict[str, list[str]] = {}
        self._refreshed: dict[tuple[int, str, str], set[str]] = {}
        self._taken = 0

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Return all messages so far."""
        return [_message(data) for data in self.transport.writes]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of one type."""
        return [one for one in self.frames if one["type"] == kind]

    def changes(self) -> list[tuple[str, str, str | None]]:
        """Return (kind, row id, cause) of every change so far."""
        return [
            (one["kind"], one.get("row_id", ""), one.get("cause"))
            for batch in self.of("changes")
            for one in batch["changes"]
        ]

    def clear(self) -> None:
        """Take in what came, and look at what follows only."""
        self.apply()
        self.transport.writes.clear()
        self._taken = 0

    def apply(self) -> None:
        """Take in what came since the last time, as PROTOCOL §6 says."""
        for message in self.frames[self._taken :]:
            self._taken += 1
            match message["type"]:
                case "welcome":
                    self.cursor = self.cursor or message["head"]
                case "resync":
                    self.cursor, self.rows, self.windows = message["head"], {}, {}
                case "snapshot":
                    for row in message["rows"]:
                        local = self.rows.get((message["entity"], row["id"]))
                        if local is None or local["_seq"] <= row["_seq"]:
                            self.rows[message["entity"], row["id"]] = row
                case "window":
                    self.windows[message["subscription"]] = message["ids"]
                case "changes":
                    assert message["after"] == self.cursor, "batches join"
                    self._take(message["changes"])
                    if message["through"] != message["after"]:
                        self._refreshed.clear()  # none can be open behind its cursor
                    self.cursor = message["through"]

    def _take(self, changes: list[dict[str, Any]]) -> None:
        for one in changes:
            if one["kind"] == "refresh":
                self._refresh(one)
                continue
            key = one["entity"], one["row_id"]
            local = self.rows.get(key)
            if one["kind"] == "delete":
                assert "row" not in one
                if local is not None and local["_seq"] < one["seq"]:
                    del self.rows[key]
            elif local is None or one["seq"] > local["_seq"]:
                self.rows[key] = one["row"]

    def _refresh(self, one: dict[str, Any]) -> None:
        """Take the rows; at the end what matches and was not sent leaves."""
        entity, key = one["entity"], (one["seq"], one["entity"], str(one["where"]))
        sent = self._refreshed.setdefault(key, set())
        for row in one["rows"]:
            sent.add(row["id"])
            self.rows[entity, row["id"]] = row
        if one["done"]:
            del self._refreshed[key]
            for place, row in list(self.rows.items()):
                if (
                    place[0] == entity
                    and place[1] not in sent
                    and (one["where"].items() <= row.items())
                ):
                    del self.rows[place]

    def refreshes(self) -> list[tuple[dict[str, Any], list[str]]]:
        """Return (where, ids of the rows) of every refresh so far, page by page."""
        return [
            (one["where"], [row["id"] for row in one["rows"]])
            for batch in self.of("changes")
            for one in batch["changes"]
            if one["kind"] == "refresh"
        ]

    @property
    def ids(self) -> set[str]:
        """Return the ids of the rows held."""
        self.apply()
        return {row_id for _, row_id in self.rows}

    def subscribe(self, **spec: Any) -> None:
        """Send `subscribe`."""
        self.hubs.hub.subscribe(self.connection, Subscribe(**spec))

    def leave(self) -> None:
        """Close the socket."""
        self.connection.is_closed = True
        self.hubs.hub.detach(self.connection)


def _message(data: bytes) -> dict[str, Any]:
    if data[0] == 0x88:
        return {"type": "close", "code": int.from_bytes(data[2:4])}
    start = {126: 4, 127: 10}.get(data[1], 2)
    found: dict[str, Any] = jsonvalue.decode_trusted(data[start:])
    return found


class Hubs:
    """The database, the hub, and who is connected."""

    def __init__(self, root: Path, database: Database, definitions: DefinitionHolder) -> None:
        self.root = root
        self.database = database
        self.definitions = definitions
        self.sessions = Sessions(database)
        self.hub = self.new_hub()
        self._names = 0
        #: How many long reads were asked for, and while the gate is shut, how many may run.
        self.reads = 0
        self._permits: asyncio.Semaphore | None = None
        self._run = database.readers.run
        database.readers.run = self._gated  # type: ignore[method-assign]

    async def _gated(self, function: Any, **options: Any) -> Any:
        self.reads += 1
        if self._permits is not None:
            await self._permits.acquire()
        return await self._run(function, **options)

    def shut_gate(self) -> None:
        """Have long reads wait."""
        self._permits = asyncio.Semaphore(0)

    def let_one_read(self) -> None:
        """Let one of them run."""
        assert self._permits is not None
        self._permits.release()

    def open_gate(self) -> None:
        """Let all of them run."""
        permits, self._permits = self._permits, None
        for _ in range(self.reads if permits is not None else 0):
            permits.release()  # type: ignore[union-attr]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(60):
            while not is_so():
                await asyncio.sleep(0.001)

    def new_hub(self, **options: Any) -> Hub:
        """Return another hub over the same database; the last one made is used."""
        clock = SystemClock()
        mailer = Mailer(MailTemplates(self.root / "mail"), lambda: "m")
        self.code = AppCode(self.database, clock, IdSource(clock, bytes), mailer)
        self.hub = Hub(
            self.database, self.definitions, self.sessions, clock, self.code, **options
        )  # fmt: skip
        self.hub._loop = asyncio.get_running_loop()
        return self.hub

    def prepare(
        self, identity: Identity, *subscriptions: dict[str, Any], cursor: str | None = None
    ) -> tuple[Connection, Hello, Cursor | None]:
        """Open a socket; returns what its hello is answered with."""
        self._names += 1
        connection = Connection(
            id=f"c{self._names}", identity=identity, address="127.0.0.1", user_agent="",
            transport=cast("Any", ListTransport()), subscriber=Subscriber(self.database.epoch),
            connected_at_ms=0,
        )  # fmt: skip
        self.hub.attach(connection)
        hello = msgspec.convert(
            {"protocol": 1, "client_id": f"c{self._names}", "subscriptions": list(subscriptions)},
            Hello, strict=False,
        )  # fmt: skip
        return connection, hello, parse_cursor(cursor)

    def connect(
        self, identity: Identity, *subscriptions: dict[str, Any], cursor: str | None = None
    ) -> Peer:
        """Open a socket and say hello."""
        connection, hello, at = self.prepare(identity, *subscriptions, cursor=cursor)
        peer = Peer(self, connection, cast("Any", connection.transport))
        peer.cursor = cursor or ""
        self.hub.greet(connection, hello, at)
        return peer

    async def live(self, identity: Identity, *subscriptions: dict[str, Any]) -> Peer:
        """Open a socket, and wait until it lacks nothing."""
        peer = self.connect(identity, *subscriptions)
        await self.settle(peer)
        return peer

    async def settle(self, *peers: Peer) -> None:
        """Wait until these have all that there is."""
        async with asyncio.timeout(60):
            for _ in range(2):  # what is read may have more written
                await asyncio.sleep(0.002)
                while any(self._lacks(peer) for peer in peers) or self.hub._pump._handle:
                    await asyncio.sleep(0.002)

    def _lacks(self, peer: Peer) -> bool:
        connection = peer.connection
        if connection.is_closed:
            return False
        return (
            connection.is_reading or connection.is_held
            or connection.subscriber.next_read_is_due()
        )  # fmt: skip

    async def put(self, entity: str, row_id: str, **values: Any) -> int:
        """Insert or update a row; returns its seq."""
        return await self.work(lambda tx: self.put_in(tx, entity, row_id, **values))

    def put_in(self, tx: Transaction, entity: str, row_id: str, **values: Any) -> None:
        """Insert or update a row in a transaction."""
        model = self.definitions.current.schema.entities[entity]
        before = tx.get(model, row_id)
        if before is not None:
            tx.update(model, before, {**before, **values})
            return
        defaults = {one.name: None for one in model.fields} | (
            {"secret": False, "text": "", "owner": "ann"} if entity == "Note" else {"text": ""}
        )
        named = {one.name for one in model.fields}
        row = {key: value for key, value in (defaults | values).items() if key in named}
        tx.insert(model, {"id": row_id, **row})

    async def drop(self, entity: str, row_id: str) -> int:
        """Delete a row."""
        model = self.definitions.current.schema.entities[entity]

        def work(tx: Transaction) -> None:
            before = tx.get(model, row_id)
            if before is not None:
                tx.delete(model, before)

        return await self.work(work)

    async def work(self, function: Callable[[Transaction], None]) -> int:
        """Run a transaction; returns the head right after it."""
        seq: int = (await self.database.writer.submit(function)).seq
        return seq


@asynccontextmanager
async def hubs_at(root: Path, app: str = APP) -> AsyncIterator[Hubs]:
    """Open a database with an app's tables, and a hub over it."""
    (root / "app.py").write_text(app)
    definition = load_app(root, generation=1)
    clock = SystemClock()
    counter = iter(range(1, 10**9))
    ids = IdSource(clock, lambda count: next(counter).to_bytes(count))
    database = await Database.open(root / ".pylon", clock=clock, ids=ids)
    await migrate(database, definition.schema)
    await use_policies(database, definition.slice_rules, definition.read_meanings)
    hubs = Hubs(root, database, DefinitionHolder(definition))
    try:
        yield hubs
    finally:
        for connection in hubs.hub.connections():
            connection.is_closed = True
            hubs.hub.detach(connection)
        await asyncio.sleep(0)
        await database.close()


async def half_hydrated(
    hubs: Hubs, identity: Identity, *subscriptions: dict[str, Any], cursor: str | None = None
) -> Peer:
    """Return a peer that has its first page, and whose next one waits at the gate."""
    hubs.shut_gate()
    peer = hubs.connect(identity, *subscriptions, cursor=cursor)
    reads = hubs.reads
    hubs.let_one_read()
    await hubs.until(lambda: bool(peer.of("snapshot") or peer.of("window")))
    await hubs.until(lambda: hubs.reads >= reads + 2)
    return peer
