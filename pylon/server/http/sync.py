"""The sync socket: frames in, the hub's machine, frames out. No rule lives here.

Refused before the upgrade: a foreign origin (the gate), a bad token, too many sockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from pylon import limits
from pylon.errors import PolicyDenied, PylonError, RateLimited, Unavailable, UpgradeRequired
from pylon.identity import Identity
from pylon.protocol import messages
from pylon.protocol.change import parse_cursor
from pylon.protocol.codec import BadFrame, decode_upstream
from pylon.protocol.version import PROTOCOL_VERSION, SUBPROTOCOL
from pylon.server.functions.builtin import BUILTINS
from pylon.server.http.calls import SocketCall
from pylon.server.http.exchange import Exchange
from pylon.server.http.services import Services
from pylon.server.sync.channel import Connection
from pylon.server.sync.subscriber import Subscriber

_log = logging.getLogger("pylon.sync")
_GOODBYE_SECONDS = 1.0
#: So much unread on a socket, and no further frame of it is taken.
_UNREAD_BYTES_MAX = 2 * limits.SEND_QUEUE_BYTES_MAX
_POLL_SECONDS = 0.05
#: How a pong is told from a message where both are held up on their way.
_PONG = b"\x8a"


async def sync_socket(exchange: Exchange) -> web.StreamResponse:
    """GET /api/sync/ws."""
    return await serve_socket(exchange, exchange.identity)


async def serve_socket(
    exchange: Exchange, identity: Identity, *, is_ghost: bool = False
) -> web.StreamResponse:
    """Serve one sync socket as `identity` until it ends; a ghost reads and leaves no trace."""
    services = exchange.services
    if services.is_stopping:
        raise Unavailable("the runtime is stopping", reason="stopping")
    with services.hub.admitted(identity, exchange.address):
        return await _serve(exchange, identity, is_ghost=is_ghost)


async def _serve(
    exchange: Exchange, identity: Identity, *, is_ghost: bool
) -> web.WebSocketResponse:
    services = exchange.services
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), compress=False, autoping=False,
        heartbeat=services.hub.heartbeat_s, max_msg_size=limits.WS_MESSAGE_BYTES_MAX + 1,
        timeout=1.0,
    )  # fmt: skip
    await socket.prepare(exchange.request)
    transport = exchange.request.transport
    assert transport is not None
    connection = Connection(
        id=services.ids.uuid7(),
        identity=identity,
        address=exchange.address,
        user_agent=_text(exchange.request.headers.get("User-Agent", "")),
        transport=transport,
        subscriber=Subscriber(
            services.database.epoch,
            subscriptions_max=services.hub.quotas.subscriptions_per_socket,
        ),
        connected_at_ms=services.clock.now_ms(),
        last_sent=services.clock.monotonic(),
        is_ghost=is_ghost,
    )
    services.hub.attach(connection)
    try:
        await _Session(services, connection, socket).run()
    except Exception:  # noqa: BLE001 -- the answer has begun: a close code says it
        _log.exception("sync.socket_failed %s", connection.id)
        await socket.close(code=1011, message=b"internal error")
    finally:
        services.hub.detach(connection)
        if connection.shaper is not None:
            connection.shaper.stop()
        # Whoever has vanished will never take what is queued for him.
        wait_s = 0.0 if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE else _GOODBYE_SECONDS
        asyncio.get_running_loop().call_later(wait_s, transport.abort)
    return socket


def _text(header: str) -> str:
    """Return a header as text that can be stored and sent: what is no UTF-8 is marked."""
    return header[:200].encode("utf-8", "replace").decode()


class _Session:
    """The read loop of one socket."""

    def __init__(
        self, services: Services, connection: Connection, socket: web.WebSocketResponse
    ) -> None:
        self._services = services
        self._connection = connection
        self._socket = socket
        self._handlers: dict[type, Callable[[Any], Awaitable[None] | None]] = {
            messages.Subscribe: self._subscribe,
            messages.Unsubscribe: self._unsubscribe,
            messages.Push: self._push,
            messages.Call: self._call,
            messages.Cancel: self._cancel,
            messages.Stored: self._stored,
            messages.Ping: self._ping,
        }
        if connection.is_ghost:
            self._handlers |= {
                messages.Push: self._refuse, messages.Call: self._refuse,
                messages.Stored: lambda _: None,
            }  # fmt: skip
        connection.inlet = self._arrived

    async def run(self) -> None:
        """Read frames until the socket ends."""
        try:
            if not await self._greet():
                return
            async for message in self._socket:
                if self._connection.is_closed:
                    continue  # what comes after the goodbye is nobody's
                if message.type is WSMsgType.TEXT:
                    shaper = self._connection.shaper
                    if shaper is None:
                        await self._take(message.data.encode())
                        await self._until_answers_are_taken()
                    else:
                        shaper.hear(message.data.encode())
                elif message.type is WSMsgType.PING or message.type is WSMsgType.PONG:
                    await self._answer(message)
                elif message.type is WSMsgType.BINARY:
                    raise BadFrame("frames are JSON text")
                elif message.type is WSMsgType.ERROR:
                    return
        except PylonError as error:
            await self._fail(error)

    async def _until_answers_are_taken(self) -> None:
        """Hear no more of a peer that asks and does not read: its answers would fill the memory."""
        connection = self._connection
        while connection.queued_bytes > _UNREAD_BYTES_MAX and not connection.is_closed:
            await self._services.clock.sleep(_POLL_SECONDS)

    async def _answer(self, message: WSMessage) -> None:
        """Answer a ping, take a pong."""
        connection = self._connection
        if message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
        elif connection.shaper is not None:
            connection.shaper.hear(_PONG + bytes(message.data))
        else:
            connection.ponged(bytes(message.data), self._services.clock.monotonic())

    async def _arrived(self, data: bytes) -> None:
        """Take a message that was held up on its way."""
        if self._connection.is_closed:
            return
        if data.startswith(_PONG):
            self._connection.ponged(data[len(_PONG) :], self._services.clock.monotonic())
            return
        try:
            await self._take(data)
            await self._until_answers_are_taken()
        except PylonError as error:
            await self._fail(error)

    async def _fail(self, error: PylonError) -> None:
        code = error.ws_close_code or 1008
        self._connection.send(messages.ErrorMessage(error=error.to_wire()))
        await self._socket.close(code=code, message=error.message.encode()[:120])

    async def _greet(self) -> bool:
        try:
            async with asyncio.timeout(limits.HELLO_SECONDS):
                first = await self._socket.receive()
                while first.type in (WSMsgType.PING, WSMsgType.PONG):
                    await self._answer(first)
                    first = await self._socket.receive()
        except TimeoutError:
            await self._socket.close(code=4408, message=b"no hello")
            return False
        if first.type is not WSMsgType.TEXT:
            if first.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return False
            if first.type is WSMsgType.ERROR:
                return False
            raise BadFrame("the first frame is hello")
        hello = decode_upstream(first.data.encode())
        if not isinstance(hello, messages.Hello):
            raise BadFrame("the first frame is hello")
        if hello.protocol != PROTOCOL_VERSION:
            raise UpgradeRequired()
        return await self._welcome(hello)

    async def _welcome(self, hello: messages.Hello) -> bool:
        """Greet; False where the client's network would not have let it come."""
        services, connection = self._services, self._connection
        try:
            cursor = parse_cursor(hello.cursor)
        except PylonError as error:
            raise BadFrame(error.message) from error
        switchboard = None if connection.is_ghost else services.switchboard
        connection.client_id = hello.client_id[:64]
        if switchboard is not None and not switchboard.greet(connection):
            return False
        await services.hub.greet_in_turn(connection, hello, cursor)
        return True

    async def _take(self, data: bytes) -> None:
        message = decode_upstream(data)
        self._connection.last_seen_ms = self._services.clock.now_ms()
        handler = self._handlers.get(type(message))
        if handler is None:
            raise BadFrame("hello was said already")
        waiting = handler(message)
        if waiting is not None:
            await waiting

    # --- one handler per message

    def _subscribe(self, message: messages.Subscribe) -> None:
        self._services.hub.subscribe(self._connection, message)

    def _unsubscribe(self, message: messages.Unsubscribe) -> None:
        self._services.hub.unsubscribe(self._connection, message.id)

    async def _push(self, message: messages.Push) -> None:
        self._spawn(message.request_id, self._run_push(message), self._connection.pushes)

    async def _run_push(self, message: messages.Push) -> None:
        services, connection = self._services, self._connection
        try:
            outcomes = await services.executor.push(
                connection.identity,
                message.operations,
                atomic=message.atomic,
                cause="ws",
                address=connection.address,
            )
        except PylonError as error:
            connection.send(
                messages.ErrorMessage(request_id=message.request_id, error=error.to_wire())
            )
            return
        results = ",".join(
            [one.to_json(op.op_id) for one, op in zip(outcomes, message.operations, strict=True)]
        )
        request_id = msgspec.json.encode(message.request_id).decode()
        connection.send_text(
            f'{{"type":"results","request_id":{request_id},"results":[{results}],'
            f'"head":"{services.database.cursor()}"}}'
        )
        wrote = {str(one.args.get("entity")) for one in message.operations if one.fn in BUILTINS}
        services.hub.flush(connection, wrote)

    async def _call(self, message: messages.Call) -> None:
        call = SocketCall(self._services, self._connection, message)
        self._spawn(message.request_id, call.run(), self._connection.calls)

    def _spawn(self, request_id: str, work: Any, running: dict[str, asyncio.Task[None]]) -> None:
        calls, pushes = self._connection.calls, self._connection.pushes
        is_used = request_id in calls or request_id in pushes
        # Each is counted alone: calls that last must not keep anybody from writing.
        if is_used or len(running) >= limits.CALLS_PER_SOCKET_MAX:
            work.close()
            error = RateLimited("too many calls at once, or a request_id that is in use")
            self._connection.send(
                messages.ErrorMessage(request_id=request_id, error=error.to_wire())
            )
            return
        task = asyncio.get_running_loop().create_task(work)
        running[request_id] = task
        task.add_done_callback(lambda _: running.pop(request_id, None))

    def _cancel(self, message: messages.Cancel) -> None:
        # A push is never cancelled: whether it happened would be anybody's guess.
        task = self._connection.calls.get(message.request_id)
        if task is not None:
            task.cancel()

    def _stored(self, message: messages.Stored) -> None:
        try:
            cursor = parse_cursor(message.cursor)
        except PylonError as error:
            raise BadFrame(error.message) from error
        if cursor is not None and cursor.epoch == self._services.database.epoch:
            seq = min(cursor.seq, self._services.database.head)
            self._services.hub.note_stored(self._connection, seq, message.pending)

    def _refuse(self, message: messages.Push | messages.Call) -> None:
        error = PolicyDenied("a ghost reads only")
        self._connection.send(
            messages.ErrorMessage(request_id=message.request_id, error=error.to_wire())
        )

    def _ping(self, message: messages.Ping) -> None:
        self._connection.send(messages.Pong())
