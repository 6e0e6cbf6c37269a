"""Which hosts are this machine, for secrets that must not leave it."""

from __future__ import annotations

import pytest

from pylon.server.hosts import address_in, is_loopback, is_this_machine


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_this_machine_is_known_by_its_name_and_its_addresses(host: str) -> None:
    """With brackets, as IPv4 in IPv6, and by any address that loops back."""
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "192.168.1.4", "localhost.example.com", "127.0.0.1.example.com",
     "example.com", "LOCALHOST.", "128.0.0.1", "::ffff:10.0.0.1", "fe80::1%lo"],
)  # fmt: skip
def test_any_other_host_is_elsewhere(host: str) -> None:
    """Names that only look like it, and addresses that listen to others, among them."""
    assert not is_this_machine(host)


def test_an_address_is_no_name() -> None:
    """A peer is known by its address: what it calls itself counts for nothing."""
    assert is_loopback("127.0.0.1")
    assert not is_loopback("localhost")
    assert address_in("localhost") is None
    assert str(address_in("fe80::1%eth0")) == "fe80::1"
