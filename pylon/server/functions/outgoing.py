"""`ctx.http`: the session for outgoing requests of actions, which reaches public addresses only.

A URL that a caller chose must not reach what only this machine or its network can reach. The
guard looks at the address that is connected to, so names, redirects and literal addresses are
judged alike, and nothing can change between the judging and the connecting.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any, Final

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)


def guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo gives it.

    Raises PermissionError for one that is not public; the caller sees it as aiohttp's own
    connection error.
    """
    family, kind, protocol, _, peer = address
    found = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    judged = mapped if mapped is not None else found
    if not judged.is_global or judged.is_multicast:
        raise PermissionError(
            errno.EACCES,
            f"{judged} is not a public address, and ctx.http reaches public ones only;"
            " open a session of your own if it is meant",
        )
    return socket.socket(family=family, type=kind, proto=protocol)


def open_session() -> aiohttp.ClientSession:
    """Return the session; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=guarded_socket, limit=100),
        timeout=_TIMEOUT, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(),
    )  # fmt: skip
