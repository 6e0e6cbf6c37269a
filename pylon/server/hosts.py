"""Hosts as settings, requests and URLs write them: addresses, and which are this machine's own.

Pure. Names are not looked up: a name but `localhost` is another machine.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


@lru_cache(maxsize=4_096)
def address_in(text: str) -> Address | None:
    """Return the address that a text is, without its zone; None for what is none.

    IPv4 in IPv6 is IPv4.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(text: str) -> bool:
    """Tell whether a text is an address of this machine's own, such as 127.0.0.1 or ::1."""
    found = address_in(text)
    return found is not None and found.is_loopback


def is_this_machine(host: str) -> bool:
    """Tell whether a host, in brackets or not, is `localhost` or an address of this machine's."""
    return host == "localhost" or is_loopback(host.removeprefix("[").removesuffix("]"))
