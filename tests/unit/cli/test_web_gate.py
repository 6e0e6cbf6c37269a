"""The link of `pylon studio --web` in the hands of another user of the machine."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from pylon.cli.peer_user import user_of_peer
from pylon.cli.web_gate import HOST, WebGate

_STRANGER = 65_534
#: Asks for an address as another user, by IPv4 or through an IPv6 socket; prints the status.
_ASK = """
import os, socket, sys
family, host, port, path, user = sys.argv[1:]
if int(user) >= 0:
    os.setgroups([]); os.setgid(int(user)); os.setuid(int(user))
with socket.socket(getattr(socket, family)) as asked:
    asked.connect((host, int(port)))
    head = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", "", "")
    asked.sendall("\\r\\n".join(head).encode())
    print(asked.recv(65536).split()[1].decode())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says whose an end is")
def test_whose_a_connection_is() -> None:
    """It is said of both kinds of sockets; of an end that nobody has nothing is."""
    with socket.create_server((HOST, 0)) as listener:
        here = listener.getsockname()
        for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, f"::ffff:{HOST}")):
            with socket.socket(family) as near:
                near.connect((host, here[1]))
                peer = (HOST, near.getsockname()[1])
                assert user_of_peer(peer, here) == os.getuid()
        assert user_of_peer((HOST, 1), here) is None
        assert user_of_peer(("::1", 1), here) is None


def test_a_list_that_is_none_says_nothing(tmp_path: Path) -> None:
    """Missing, cut off, or of another form."""
    ends = ((HOST, 1), (HOST, 2))
    assert user_of_peer(*ends, tables=tmp_path) is None
    (tmp_path / "tcp").write_text("head\n0: 0100007F:0001\n\n")
    (tmp_path / "tcp6").write_bytes(b"\xff\xfe")
    assert user_of_peer(*ends, tables=tmp_path) is None


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.getuid() != 0, reason="only root becomes somebody"
)
async def test_a_link_that_another_user_read_is_worth_nothing_to_him() -> None:
    """A browser's arguments show it to all; the owner's own browser gets in all the same."""
    listener = socket.create_server((HOST, 0))
    port = listener.getsockname()[1]
    gate = WebGate(port, lambda: os.urandom(8).hex(), lambda: None)
    runner = web.AppRunner(web.Application(middlewares=[gate.middleware]))
    await runner.setup()
    await web.SockSite(runner, listener).start()

    async def asked(family: str, host: str, user: int) -> str:
        path = gate.link.partition(str(port))[2]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", "-c", _ASK, family, host, str(port), path, str(user)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    try:
        assert await asked("AF_INET", HOST, _STRANGER) == "403"
        assert await asked("AF_INET6", f"::ffff:{HOST}", _STRANGER) == "403"
        assert await asked("AF_INET", HOST, -1) == "303"
    finally:
        await runner.cleanup()
