"""Whence a request comes (THREATS 45): nobody chooses the key that he is counted by."""

from __future__ import annotations

import pytest

from pylon.server.http.peers import client_of, network_of, networks_of

PROXIES = networks_of(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Not from a proxy of ours: whatever the header says.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", [], "203.0.113.7"),
        ("local", ["198.51.100.1"], "local"),
        # From one: the last hop that is none of ours; what stands left of it he wrote himself.
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", ["10.9.9.9, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        # Nothing usable: the last hop that somebody vouches for.
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, "], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, evil, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", ["10.0.0.5, 10.1.2.3"], "10.0.0.5"),
    ],
)
def test_only_the_last_foreign_hop_counts(peer: str, forwarded: list[str], client: str) -> None:
    """A header that the caller wrote frames nobody and frees nobody."""
    assert client_of(peer, forwarded, PROXIES) == client


def test_whoever_has_a_network_has_one_share() -> None:
    """The 2^64 addresses around an IPv6 address are one caller; IPv4 in IPv6 is IPv4."""
    assert (
        network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    )
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:203.0.113.7") == "203.0.113.7"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("local") == "local"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    """A name would have to be looked up, by whoever answers."""
    with pytest.raises(ValueError, match="proxy"):
        networks_of(["proxy.example"])
