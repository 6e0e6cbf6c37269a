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

#: Addresses whose last 32 bits are those of an IPv4 host behind a gateway (NAT64), or were once.
_ENDS_IN_IPV4: Final = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)


def guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo gives it.

    Raises PermissionError for one that is not public; the caller sees it as aiohttp's own
    connection error.
    """
    family, kind, protocol, _, peer = address
    found = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    for judged in _meant_by(found):
        if not judged.is_global or judged.is_multicast:
            raise PermissionError(
                errno.EACCES,
                f"{judged} is not a public address, and ctx.http reaches public ones only;"
                " open a session of your own if it is meant",
            )
    return socket.socket(family=family, type=kind, proto=protocol)


def _meant_by(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return whom an address may reach: itself, and the IPv4 hosts that gateways read from it."""
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    if found.ipv4_mapped is not None:
        return [found.ipv4_mapped]
    inner = [found.sixtofour, *(found.teredo or ())]
    if any(found in one for one in _ENDS_IN_IPV4):
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return [found, *(one for one in inner if one is not None)]


def open_session() -> aiohttp.ClientSession:
    """Return the session; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=guarded_socket, limit=100),
        timeout=_TIMEOUT, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(),
    )  # fmt: skip
