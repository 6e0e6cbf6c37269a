"""The shell around the network: one WebSocket at a time, and requests beside it. Holds no rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from pylon import jsonvalue, limits_data
from pylon.client import events as ev
from pylon.client.event_lines import EventLines
from pylon.client.whole import TOO_LONG, whole
from pylon.errors import Internal, PayloadTooLarge, PylonError, Unavailable
from pylon.protocol.messages import Downstream, Upstream
from pylon.protocol.version import SUBPROTOCOL

_decoder = msgspec.json.Decoder(Downstream)

#: A stream that says nothing for so long is dead: a runtime says something every heartbeat.
_SILENT_SECONDS: Final = 60.0


class ServerRefused(PylonError):
    """The server answered with an error; its code, message, hint and details are here."""

    def __init__(self, error: Mapping[str, Any], retry_after: str | None = None) -> None:
        hint, details = error.get("hint"), error.get("details")
        super().__init__(str(error.get("message", "")), hint=hint)
        self.code = str(error.get("code", "INTERNAL"))
        self.details = dict(details) if isinstance(details, dict) else {}
        #: After how many seconds it may be asked again, where the server said.
        is_told = retry_after is not None and retry_after.isdecimal()
        self.retry_after_s = int(retry_after or 0) if is_told else None


class Connection:
    """Opens, reads, writes; tells what happens through `dispatch`."""

    def __init__(
        self, url: str, token: str | None, dispatch: Callable[[ev.Event], None],
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
    ) -> None:  # fmt: skip
        """Make a connection.

        Args:
            url: where the server listens.
            token: who calls; None for anonymous.
            dispatch: is told what happens.
            connector: makes what requests go through; None for the machine's network.
        """
        self._url = url.rstrip("/")
        self._dispatch = dispatch
        self._connector = connector
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._outgoing: asyncio.Queue[Upstream] = asyncio.Queue()
        self._closing: set[asyncio.Task[object]] = set()

    async def start(self) -> None:
        """Make the HTTP session; a connection is opened by `connect`."""
        connector = None if self._connector is None else self._connector()
        self._session = aiohttp.ClientSession(headers=self._headers, connector=connector)

    async def stop(self) -> None:
        """Close whatever is open."""
        self.disconnect()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def connect(self) -> None:
        """Open a socket; any other is left."""
        self.disconnect()
        self._outgoing = asyncio.Queue()
        self._reader = asyncio.create_task(self._run(), name="pylon client socket")

    def disconnect(self) -> None:
        """Leave the socket: nothing of it is told any more."""
        if self._reader is not None:
            task, self._reader = self._reader, None
            self._keep(task)
            task.cancel()

    def send(self, message: Upstream) -> None:
        """Queue a frame for the open socket."""
        self._outgoing.put_nowait(message)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _run(self) -> None:
        assert self._session is not None
        task = asyncio.current_task()
        try:
            socket = await self._session.ws_connect(
                f"{self._url}/api/sync/ws", protocols=(SUBPROTOCOL,),
                max_msg_size=limits_data.ANSWER_BYTES_MAX,
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            self._tell_failure(task, error.status)
            return
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._tell(task, ev.Lost())
            return
        async with socket:
            writer = asyncio.create_task(self._write(socket, self._outgoing))
            try:
                self._tell(task, ev.Opened())
                async for frame in socket:
                    if frame.type is not aiohttp.WSMsgType.TEXT:
                        break
                    self._tell(task, ev.Received(message=_decoder.decode(frame.data)))
            except (msgspec.DecodeError, RecursionError):
                pass  # a frame that is none: the connection is over
            finally:
                writer.cancel()
            code = socket.close_code
        self._tell(task, ev.Lost(code=1006 if code is None else code))

    async def _write(
        self, socket: aiohttp.ClientWebSocketResponse, outgoing: asyncio.Queue[Upstream]
    ) -> None:
        while True:
            message = await outgoing.get()
            await socket.send_str(jsonvalue.encode_text(message))

    def _tell_failure(self, task: asyncio.Task[Any] | None, status: int) -> None:
        if status == 401:
            error = {"code": "UNAUTHENTICATED", "message": "the token is not valid"}
            self._tell(task, ev.Refused(error=error))
        else:
            self._tell(task, ev.Lost())

    def _tell(self, task: asyncio.Task[Any] | None, event: ev.Event) -> None:
        if task is self._reader:
            self._dispatch(event)

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> Any:
        """Return the body of an answer; raises ServerRefused, or Unavailable for no answer."""
        return await self.exchange(method, path, params=params, json=body)

    async def exchange(self, method: str, path: str, **given: Any) -> Any:
        """Do the same with what aiohttp takes: `data` and `headers` as they are."""
        assert self._session is not None
        try:
            async with self._session.request(method, self._url + path, **given) as response:
                text = await whole(response)
                status, later = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("the server cannot be reached") from error
        answer = _read(text)
        if status >= 400:
            raise ServerRefused(_error_of(answer, status), later)
        return answer

    async def events(self, path: str, body: Any) -> AsyncGenerator[tuple[str, Any], None]:
        """Yield the server-sent events of a call, as (name, data); raises as `request`.

        Where the answer is no stream it is one event `returned`.
        """
        assert self._session is not None
        asked = self._session.post(
            self._url + path, json=body, headers={"Accept": "text/event-stream"},
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENT_SECONDS),
        )  # fmt: skip
        try:
            async with asked as response:
                if response.content_type != "text/event-stream":
                    answer = _read(await whole(response))
                    if response.status >= 400:
                        raise ServerRefused(_error_of(answer, response.status))
                    yield "returned", answer
                    return
                lines = EventLines()
                async for chunk in response.content.iter_any():
                    for name, data in lines.take(chunk):
                        yield name, jsonvalue.decode_trusted(data)
                    if lines.held_bytes > limits_data.ANSWER_BYTES_MAX:
                        raise PayloadTooLarge(f"a part of the answer is {TOO_LONG}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("the server cannot be reached") from error


def _read(text: bytes) -> Any:
    """Return the values of an answer; raises Unavailable for one of a proxy in between."""
    try:
        return jsonvalue.decode_trusted(text) if text else None
    except (ValueError, RecursionError) as error:
        raise Unavailable("the answer is not JSON") from error


def _error_of(answer: Any, status: int) -> Mapping[str, Any]:
    found = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(found, dict) and isinstance(found.get("code"), str):
        return found
    code = Unavailable.code if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Internal.code
    return {"code": code, "message": f"the server answered {status}"}


def spawn(work: Coroutine[Any, Any, None], owner: set[asyncio.Task[None]]) -> None:
    """Run work in a task that `owner` keeps until it ends."""
    task = asyncio.create_task(work)
    owner.add(task)
    task.add_done_callback(owner.discard)
