"""The proxy's faults, each against a server that answers every byte with two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pylon.testing.proxy import Direction, Fault, FaultKind, Proxy, Script


class _Doubler:
    """Answers each byte with itself, twice; notes what it got over every connection."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.endings: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.got)
        self.got.append(b"")
        try:
            while data := await reader.read(1_000):
                self.got[place] += data
                writer.write(b"".join(bytes((one, one)) for one in data))
                await writer.drain()
            self.endings.append("end")
        except ConnectionError:
            self.endings.append("reset")
        finally:
            writer.close()


@asynccontextmanager
async def _proxied(script: Script | None = None) -> AsyncIterator[tuple[Proxy, _Doubler]]:
    doubler = _Doubler()
    server = await asyncio.start_server(doubler.serve, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1], script) as proxy:
        yield proxy, doubler


async def _read_all(reader: asyncio.StreamReader, within_s: float = 2.0) -> tuple[bytes, str]:
    """Return what came, and how it ended: end, reset or silence."""
    found = b""
    try:
        async with asyncio.timeout(within_s):
            while data := await reader.read(1_000):
                found += data
    except ConnectionResetError:
        return found, "reset"
    except TimeoutError:
        return found, "silence"
    return found, "end"


async def _talk(proxy: Proxy, data: bytes, within_s: float = 2.0) -> tuple[bytes, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(data)
        return await _read_all(reader, within_s)
    finally:
        writer.close()


async def test_without_a_script_everything_passes() -> None:
    """Both ways, as it is, and the end of one side is the end of the other."""
    async with _proxied() as (proxy, doubler):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"abc")
        writer.write_eof()
        assert await _read_all(reader) == (b"aabbcc", "end")
        assert (doubler.got, doubler.endings) == ([b"abc"], ["end"])
        passed = proxy.passages[0].passed
        assert (passed[Direction.UP], passed[Direction.DOWN]) == (3, 6)
        writer.close()


@pytest.mark.parametrize("after", [0, 1, 5, 6])
@pytest.mark.parametrize(("kind", "ending"), [(FaultKind.CUT, "end"), (FaultKind.STALL, "silence")])
async def test_an_answer_ends_at_the_very_byte(after: int, kind: FaultKind, ending: str) -> None:
    """So many bytes arrive and no more; the request was whole all the same."""
    script = Script(faults=(Fault(kind, Direction.DOWN, after),))
    async with _proxied(script) as (proxy, doubler):
        assert await _talk(proxy, b"abc", 0.3) == (b"aabbcc"[:after], ending)
        assert doubler.got == [b"abc"]


@pytest.mark.parametrize("after", [0, 2, 3])
async def test_a_request_is_cut_at_the_very_byte(after: int) -> None:
    """The server sees the beginning, and the end of the connection."""
    script = Script(faults=(Fault(FaultKind.CUT, Direction.UP, after),))
    async with _proxied(script) as (proxy, doubler):
        await _talk(proxy, b"abc")
        await asyncio.sleep(0.05)
        assert doubler.got == [b"abc"[:after]]
        assert len(doubler.endings) == 1


async def test_a_reset_is_a_reset_at_both_ends() -> None:
    """Neither end can take it for a goodbye."""
    script = Script(faults=(Fault(FaultKind.RESET, Direction.DOWN, 0),))
    async with _proxied(script) as (proxy, doubler):
        assert (await _talk(proxy, b"abc"))[1] == "reset"
        await asyncio.sleep(0.05)
        assert doubler.endings == ["reset"]


async def test_a_half_closed_answer_leaves_the_way_up_open() -> None:
    """The client sees the end, and what it goes on to say still arrives."""
    script = Script(faults=(Fault(FaultKind.HALF_CLOSE, Direction.DOWN, 2),))
    async with _proxied(script) as (proxy, doubler):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"abc")
        assert await _read_all(reader) == (b"aa", "end")
        writer.write(b"def")
        await asyncio.sleep(0.1)
        assert doubler.got == [b"abcdef"]
        writer.close()


async def test_a_throttle_takes_its_time() -> None:
    """Half a second of bytes takes half a second, and all of them come."""
    async with _proxied(Script(bytes_per_second=1_000)) as (proxy, _):
        started = asyncio.get_running_loop().time()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x" * 250)
        assert await reader.readexactly(500) == b"x" * 500
        assert asyncio.get_running_loop().time() - started >= 0.4
        writer.close()


async def test_a_blackhole_takes_everything_and_says_nothing() -> None:
    """The connection is there, and nobody behind it."""
    async with _proxied(Script(is_blackhole=True)) as (proxy, doubler):
        assert await _talk(proxy, b"abc", 0.2) == (b"", "silence")
        assert doubler.got == []


async def test_a_doubled_connection_says_it_twice() -> None:
    """The server gets it over two connections; the client one answer."""
    async with _proxied(Script(is_doubled=True)) as (proxy, doubler):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"abc")
        assert await reader.readexactly(6) == b"aabbcc"
        await asyncio.sleep(0.05)
        assert doubler.got == [b"abc", b"abc"]
        writer.close()


async def test_what_is_held_comes_when_it_is_released() -> None:
    """Nothing is lost while the network is gone, and the order stays."""
    async with _proxied() as (proxy, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.hold()
        writer.write(b"ab")
        await asyncio.sleep(0.1)
        writer.write(b"c")
        assert await _read_some(reader, 0.1) == b""
        proxy.release()
        assert await reader.readexactly(6) == b"aabbcc"
        writer.close()


async def _read_some(reader: asyncio.StreamReader, within_s: float) -> bytes:
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(100)
    except TimeoutError:
        return b""
