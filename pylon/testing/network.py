"""A network in memory: connections between clients and a runtime in one process, without sockets.

What is written arrives whole and in order, like over TCP; when, and whether the connection lasts
so long, is the weather's to say. What does not live here: weather that is bad on purpose
(`simulation.weather`).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler

_HIGH_WATER, _LOW_WATER = 64 * 1024, 16 * 1024
_END = None


class Weather(Protocol):
    """What a network does to what is carried over it."""

    def open_delay(self, link: Link) -> float | None:
        """Return seconds until a new connection is made; None refuses it."""
        ...

    def delay(self, link: Link, *, is_down: bool, size: int) -> float:
        """Return seconds that some bytes take, down to the client or up to the server."""
        ...

    def is_held(self, link: Link) -> bool:
        """Tell whether nothing arrives at present; `Link.release` brings what waited."""
        ...


class FairWeather:
    """Everything arrives at once."""

    def open_delay(self, link: Link) -> float | None:
        """Open at once."""
        return 0.0

    def delay(self, link: Link, *, is_down: bool, size: int) -> float:
        """Arrive at once."""
        return 0.0

    def is_held(self, link: Link) -> bool:
        """Hold nothing."""
        return False


class MemoryTransport(asyncio.Transport):
    """One end of a link."""

    def __init__(self, link: Link, *, is_server: bool) -> None:
        super().__init__()
        self._link = link
        self._is_server = is_server
        self._protocol: Any = None
        self.context: contextvars.Context | None = None
        self._is_closing = self._is_lost = False
        self._is_reading = True
        self._is_writing_paused = False
        self._unread: deque[bytes | None] = deque()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return an address for both ends; there is no socket."""
        return ("127.0.0.1", 4321) if name in ("peername", "sockname") else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to this protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """Tell whether this end was closed or lost."""
        return self._is_closing

    def is_reading(self) -> bool:
        """Tell whether bytes are handed on as they come."""
        return self._is_reading

    def pause_reading(self) -> None:
        """Keep back what comes."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Hand on what was kept back."""
        self._is_reading = True
        self._link.soon(self, self._hand_on)

    def get_write_buffer_size(self) -> int:
        """Return how much did not arrive yet."""
        return self._link.waiting(is_down=self._is_server)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._is_closing or not data:
            return
        self._link.carry(bytes(data), is_down=self._is_server)
        if not self._is_writing_paused and self.get_write_buffer_size() > _HIGH_WATER:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def drained(self) -> None:
        """Let the protocol write again, where so little is left."""
        if self._is_writing_paused and self.get_write_buffer_size() <= _LOW_WATER:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def close(self) -> None:
        """Close this end; what was written still arrives."""
        if self._is_closing:
            return
        self._is_closing = True
        self._link.carry(_END, is_down=self._is_server)
        self._link.soon(self, self.lose, None)

    def abort(self) -> None:
        """Close this end; what was written and did not arrive is lost."""
        if not self._is_lost:
            self._link.reset()

    def received(self, data: bytes | None) -> None:
        """Take what arrived; None is the end."""
        self._unread.append(data)
        if self._is_reading:
            self._hand_on()

    def _hand_on(self) -> None:
        while self._unread and self._is_reading and not self._is_lost:
            data = self._unread.popleft()
            if data is None:
                self._protocol.eof_received()
                self._is_closing = True
                # As with a socket: who waits for what came just before is woken first.
                self._link.soon(self, self.lose, None)
            else:
                self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        """Tell the protocol, once, that the connection is over."""
        self._is_closing = True
        if not self._is_lost:
            self._is_lost = True
            self._link.forget()
            self._protocol.connection_lost(error)


class Link:
    """One connection: two ends, and what is on its way between them."""

    def __init__(self, network: MemoryNetwork, client: str, number: int) -> None:
        self.client = client
        self.number = number
        self._network = network
        self._loop = asyncio.get_running_loop()
        self.near = MemoryTransport(self, is_server=False)
        self.far = MemoryTransport(self, is_server=True)
        self._lanes: dict[bool, deque[bytes | None]] = {True: deque(), False: deque()}
        self._sizes = {True: 0, False: 0}
        self._last = {True: 0.0, False: 0.0}
        self._due = {True: 0, False: 0}
        self._is_reset = False

    def soon(self, end: MemoryTransport, call: Callable[..., None], *args: Any) -> None:
        """Call something of an end in its own context, in the loop's next pass."""
        self._loop.call_soon(call, *args, context=end.context)

    def waiting(self, *, is_down: bool) -> int:
        """Return how many bytes are on their way."""
        return self._sizes[is_down]

    def carry(self, data: bytes | None, *, is_down: bool) -> None:
        """Take bytes, or the end, onto the way."""
        if self._is_reset:
            return
        size = 0 if data is None else len(data)
        if is_down and data is not None:
            self._network.tap(self, data)
        self._lanes[is_down].append(data)
        self._sizes[is_down] += size
        seconds = self._network.weather.delay(self, is_down=is_down, size=size)
        when = max(self._last[is_down], self._loop.time() + seconds)
        self._last[is_down] = when
        end = self.near if is_down else self.far
        if seconds <= 0 and when <= self._loop.time():
            self._loop.call_soon(self._arrive, is_down, context=end.context)
        else:
            self._loop.call_at(when, self._arrive, is_down, context=end.context)

    def _arrive(self, is_down: bool) -> None:
        self._due[is_down] += 1
        self._bring(is_down=is_down)

    def _bring(self, *, is_down: bool) -> None:
        end, source = (self.near, self.far) if is_down else (self.far, self.near)
        while self._due[is_down] and not self._network.weather.is_held(self):
            if not self._lanes[is_down]:
                self._due[is_down] = 0  # the connection was reset meanwhile
                return
            self._due[is_down] -= 1
            data = self._lanes[is_down].popleft()
            self._sizes[is_down] -= 0 if data is None else len(data)
            source.drained()
            end.received(data)

    def release(self) -> None:
        """Bring what was held."""
        self._loop.call_soon(functools.partial(self._bring, is_down=True),
                             context=self.near.context)  # fmt: skip
        self._loop.call_soon(functools.partial(self._bring, is_down=False),
                             context=self.far.context)  # fmt: skip

    def reset(self, *, is_noticed: bool = True) -> None:
        """End the connection: what is on its way is lost.

        Args:
            is_noticed: the server hears of it; else its end stays, talking to nobody.
        """
        self._is_reset = True
        for lane in self._lanes.values():
            lane.clear()
        self._sizes = {True: 0, False: 0}
        for end in (self.near, self.far) if is_noticed else (self.near,):
            # In the pass after the next: who was told of the connection just now comes first.
            lost = ConnectionResetError("the connection was reset")
            self.soon(end, self.soon, end, end.lose, lost)

    def forget(self) -> None:
        """Leave the network's list once one end is over."""
        self._network.links.pop(self, None)


class MemoryNetwork:
    """Where a runtime listens and clients connect."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.weather: Weather = weather or FairWeather()
        #: The open connections, in the order made.
        self.links: dict[Link, None] = {}
        #: Sees all bytes that the server writes, as it writes them.
        self.tap: Callable[[Link, bytes], None] = lambda link, data: None
        self._accept: Callable[[], asyncio.BaseProtocol] | None = None
        self._context: contextvars.Context | None = None
        self._count = 0

    def listen(self, accept: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept connections from now on; callbacks of its ends run in the present context."""
        self._accept = accept
        self._context = contextvars.copy_context()

    def stop_listening(self) -> None:
        """Refuse connections from now on."""
        self._accept = None

    def connector(self, client: str) -> aiohttp.BaseConnector:
        """Return a connector through which all of a client's requests go."""
        return _MemoryConnector(self, client)

    async def open(self, client: str, factory: Callable[[], ResponseHandler]) -> ResponseHandler:
        """Make a connection; raises ConnectionRefusedError where nobody listens."""
        self._count += 1
        link = Link(self, client, self._count)
        seconds = self.weather.open_delay(link)
        if seconds is None or seconds > 0:
            await asyncio.sleep(seconds or 0.05)
        if seconds is None or self._accept is None:
            raise ConnectionRefusedError(111, "nobody listens")
        protocol, other = factory(), self._accept()
        link.near.set_protocol(protocol)
        link.near.context = contextvars.copy_context()
        link.far.set_protocol(other)
        link.far.context = self._context
        self.links[link] = None
        link.soon(link.far, other.connection_made, link.far)
        protocol.connection_made(link.near)
        return protocol

    def reset_all(self) -> None:
        """End every connection."""
        for link in list(self.links):
            link.reset()


class _MemoryConnector(aiohttp.BaseConnector):
    def __init__(self, network: MemoryNetwork, client: str) -> None:
        super().__init__()
        self._network = network
        self._client = client

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own signature
    ) -> ResponseHandler:  # fmt: skip
        try:
            return await self._network.open(self._client, self._factory)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
