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

from pylon import limits

#: Addresses whose last 32 bits are those of an IPv4 host behind a gateway (NAT64), or were once.
_ENDS_IN_IPV4: Final = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96"))
)
#: Once for one site's own use; not global, whatever a library says.
_SITE_LOCAL: Final = ipaddress.IPv6Network("fec0::/10")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)


def guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo gives it.

    Raises PermissionError for one that is not public; the caller sees it as aiohttp's own
    connection error.
    """
    family, kind, protocol, _, peer = address
    found = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    for judged in _meant_by(found):
        if not judged.is_global or judged.is_multicast or judged in _SITE_LOCAL:
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


class BoundedResponse(aiohttp.ClientResponse):
    """An answer that is read whole up to a limit; `.content` reads a longer one piece by piece."""

    async def read(self) -> bytes:
        """Return the body; raises aiohttp.ClientPayloadError for one beyond the limit."""
        if self._body is None:
            body = bytearray()
            async for piece in self.content.iter_any():
                body += piece
                if len(body) > limits.OUTGOING_BYTES_MAX:
                    self.close()
                    raise aiohttp.ClientPayloadError(
                        f"the answer has more than {limits.OUTGOING_BYTES_MAX} bytes; read it"
                        " piece by piece: async for piece in answer.content.iter_chunked(65536)"
                    )
            self._body = bytes(body)
        return await super().read()


def open_session() -> aiohttp.ClientSession:
    """Return the session; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=guarded_socket, limit=100),
        timeout=_TIMEOUT, trust_env=False, response_class=BoundedResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
    )  # fmt: skip
