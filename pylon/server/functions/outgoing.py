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
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ENDS_IN_IPV4: Final = (
    _NAT64, *map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"))
)  # fmt: skip
#: All that IPv6 has given out to the world; site-local and other old ranges are outside of it.
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
#: Of protocols, and of gateways that are no more: `is_global` says yes to most of them.
_SPECIAL: Final[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]] = (
    *map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")),
    ipaddress.IPv6Network("3fff::/20"),
)  # fmt: skip
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)


def guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo gives it.

    Raises PermissionError for one that is not public; the caller sees it as aiohttp's own
    connection error.
    """
    family, kind, protocol, _, peer = address
    found = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    for judged in _meant_by(found):
        if not _is_public(judged):
            raise PermissionError(
                errno.EACCES,
                f"{judged} is not a public address, and ctx.http reaches public ones only;"
                " open a session of your own if it is meant",
            )
    return socket.socket(family=family, type=kind, proto=protocol)


def _is_public(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if one.version == 6 and not (one in _UNICAST or one in _NAT64):
        return False
    is_special = any(one in each for each in _SPECIAL if each.version == one.version)
    return one.is_global and not one.is_multicast and not is_special


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
