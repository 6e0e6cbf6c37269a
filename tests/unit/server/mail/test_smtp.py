"""The address of the mail server: what it says, and that its password is shown nowhere."""

from __future__ import annotations

import pytest

from pylon.server.mail.smtp import parse_url


def test_a_url_says_where_and_how() -> None:
    """TLS from the first byte, by STARTTLS, or not at all on this machine."""
    away = parse_url("smtp://ann:s%2Fecret@mail.example")
    assert (away.host, away.port, away.user, away.password) == (
        "mail.example", 587, "ann", "s/ecret"
    )  # fmt: skip
    assert away.demands_starttls
    assert not away.is_tls
    tls = parse_url("smtps://mail.example")
    assert (tls.port, tls.is_tls, tls.demands_starttls) == (465, True, False)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert not parse_url(f"smtp://{host}:1025").demands_starttls
    assert parse_url("smtp://127.0.0.1.example").demands_starttls


@pytest.mark.parametrize(
    "url",
    [
        "mail.example", "http://mail.example", "smtp://", "smtp://a:hunter2@b:port",
        "smtp://hunter2@mail.example", "smtp://a:hunt#er2@mail.example", "smtp://a:x@b/hunter2",
        "smtp://a:b@c?hunter2",
    ],
)  # fmt: skip
def test_what_is_no_server_is_told_without_repeating_it(url: str) -> None:
    """A URL with a mistake holds a password all the same (I71)."""
    with pytest.raises(ValueError) as wrong:  # noqa: PT011 -- the words differ
        parse_url(url)
    assert "hunter2" not in str(wrong.value)
    assert wrong.value.__cause__ is None


def test_a_password_is_not_in_its_repr() -> None:
    """Whoever logs a server logs no secret."""
    assert "hunter2" not in repr(parse_url("smtp://ann:hunter2@mail.example"))
