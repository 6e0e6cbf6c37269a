"""Whence a request comes, as far as the caller cannot choose it (I72).

A forwarded-for header counts only where a proxy of the settings hands the request on, and of it
only the last hop that is none of them: what stands left of that was written by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from pylon.server.hosts import Address, address_in

Network = IPv4Network | IPv6Network
_V6_PREFIX = 64


def networks_of(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that addresses and networks are; raises ValueError."""
    return tuple(ip_network(text.strip()) for text in texts)


def client_of(peer: str, forwarded_for: Sequence[str], proxies: tuple[Network, ...]) -> str:
    """Return the address of the caller.

    Args:
        peer: the other end of the connection.
        forwarded_for: the values of all X-Forwarded-For headers, in order.
        proxies: the networks of the proxies that are ours.
    """
    client = address_in(peer)
    if client is None or not _is_in(client, proxies):
        return peer
    for hop in reversed(",".join(forwarded_for).split(",")):
        found = address_in(hop.strip())
        if found is None:
            break  # what is left of it, nobody vouches for
        client = found
        if not _is_in(found, proxies):
            break
    return str(client)


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Return what a rate is counted by: an IPv4 address, or the /64 of an IPv6 address.

    Whoever has one IPv6 address has the 2^64 around it.
    """
    found = address_in(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> _V6_PREFIX << _V6_PREFIX, _V6_PREFIX)))
    return address if found is None else str(found)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in one for one in networks)
