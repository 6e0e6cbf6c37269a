"""Which hosts and origins are ours, by what is listened on and what the settings name (I74)."""

from __future__ import annotations

import pytest

from pylon.server.http.gate import known_names


@pytest.mark.parametrize(
    ("origins", "origin", "is_ours"),
    [
        ([], "http://localhost:4321", True),
        ([], "http://127.0.0.1:4321", True),
        ([], "http://[::1]:4321", True),
        ([], "https://localhost:4321", False),
        ([], "http://localhost:4322", False),
        ([], "http://localhost", False),
        ([], "http://localhost.evil.example:4321", False),
        ([], "null", False),
        (["https://Chat.example"], "https://chat.example", True),
        (["https://chat.example/"], "https://chat.example", True),
        (["https://chat.example:443"], "https://chat.example", True),
        (["http://chat.example:80"], "http://chat.example", True),
        (["https://chat.example:8443"], "https://chat.example:8443", True),
        (["https://chat.example:8443"], "https://chat.example", False),
        (["https://chat.example"], "https://chat.example:8443", False),
        (["https://chat.example"], "https://evil.example", False),
        (["https://chat.example"], "https://a.chat.example", False),
        (["http://[fd00::1]:81"], "http://[fd00::1]:81", True),
    ],
)
def test_an_origin_is_ours(origins: list[str], origin: str, is_ours: bool) -> None:
    """Scheme, name and port decide; browsers leave the usual port out."""
    _, known = known_names("127.0.0.1", 4321, origins)
    assert (origin in known) is is_ours


@pytest.mark.parametrize(
    ("host", "asked", "is_ours"),
    [
        ("127.0.0.1", "localhost:4321", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "[::1]:4321", True),
        ("127.0.0.1", "chat.example", True),
        ("127.0.0.1", "chat.example:8443", True),
        ("127.0.0.1", "localhost:1", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "", False),
        ("192.168.1.7", "192.168.1.7:4321", True),
        ("::1", "[::1]:4321", True),
    ],
)
def test_a_host_is_ours(host: str, asked: str, is_ours: bool) -> None:
    """A page that had its own name point at this machine names a host that is not ours."""
    known, _ = known_names(host, 4321, ["https://chat.example:8443"])
    assert (asked in known) is is_ours
