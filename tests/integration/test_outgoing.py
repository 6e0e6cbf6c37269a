"""What `ctx.http` connects to, and how much of an answer it takes."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web

from pylon import limits
from pylon.server.functions.outgoing import BoundedResponse, guarded_socket


@pytest.mark.parametrize(
    "address",
    ["::ffff:0:127.0.0.1", "fec0::1", "64:ff9b::10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0"],
)
def test_private_addresses_in_every_dress_are_refused(address: str) -> None:
    """Translated, mapped, site-local, and with a zone."""
    with pytest.raises(PermissionError, match="not a public address"):
        guarded_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, 0)))


async def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read whole only up to the limit, however it is sent; at the limit it is read."""
    monkeypatch.setattr(limits, "OUTGOING_BYTES_MAX", 100_000)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        sent = web.StreamResponse()
        await sent.prepare(request)
        for _ in range(int(request.query["n"])):
            await sent.write(b"x" * 1_000)
        return sent

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession(response_class=BoundedResponse) as session:
        async with session.get(url, params={"n": "100"}) as whole:
            assert len(await whole.read()) == len(await whole.text()) == 100_000
        async with session.get(url, params={"n": "101"}) as large:
            with pytest.raises(aiohttp.ClientPayloadError):
                await large.read()
    await runner.cleanup()
