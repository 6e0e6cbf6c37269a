"""Second factors by the vectors of RFC 6238, and no code twice."""

from __future__ import annotations

import pytest

from pylon.server.auth.totp import matching_step, otpauth_url, secret_text, totp_code

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
     (2000000000, "279037"), (20000000000, "353130")],
)  # fmt: skip
def test_the_vectors_of_the_rfc_hold(seconds: int, code: str) -> None:
    """The last six of the eight digits in appendix B, for SHA-1."""
    assert totp_code(SECRET, seconds // 30) == code
    assert matching_step(SECRET, f" {code[:3]} {code[3:]} ", seconds * 1000, 0) == seconds // 30


def test_a_step_on_either_side_is_taken_and_none_twice() -> None:
    """Clocks differ by half a minute; a code that was used, and those before it, are dead."""
    now_ms, step = 1_234_567_890_000, 1_234_567_890 // 30
    for away in (-1, 0, 1):
        assert matching_step(SECRET, totp_code(SECRET, step + away), now_ms, 0) == step + away
    for away in (-2, 2):
        assert matching_step(SECRET, totp_code(SECRET, step + away), now_ms, 0) is None
    assert matching_step(SECRET, totp_code(SECRET, step), now_ms, step) is None
    assert matching_step(SECRET, totp_code(SECRET, step - 1), now_ms, step) is None
    assert matching_step(SECRET, totp_code(SECRET, step + 1), now_ms, step) == step + 1


def test_what_is_no_code_matches_nothing() -> None:
    """Empty, too short, of other letters: no crash, no match."""
    for text in ("", "12345", "abcdef", "\ud800", "١٢٣٤٥٦", "287082 287082"):
        assert matching_step(SECRET, text, 59_000, 0) is None


def test_the_url_says_what_an_app_needs() -> None:
    """Names are escaped, the secret is base32 without padding."""
    url = otpauth_url(SECRET, "My App", "ada+x@example.com")
    assert url == (
        "otpauth://totp/My%20App:ada%2Bx%40example.com"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20App"
    )
    assert secret_text(SECRET) in url
