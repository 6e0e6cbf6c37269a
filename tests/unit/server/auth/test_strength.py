"""Which passwords are taken."""

from __future__ import annotations

import pytest

from pylon.errors import InvalidArgument
from pylon.server.auth.strength import checked_password


@pytest.mark.parametrize(
    "password",
    [
        "", "short", "123456789", "1234567890", "0987654321", "aaaaaaaaaaaa", "abababababab",
        "password123", "Password1!", "P@ssw0rd2024", "passwordpassword", "qwertyuiop",
        "QWERTYUIOP123", "1q2w3e4r5t6y", "iloveyou123", "letmein2023!!", "welcome2024!",
        "abcabcabcabc", "adminadmin1", "ada@example.com", "x" * 1025, "9876543210!", None, 5, [],
    ],
)  # fmt: skip
def test_what_is_guessed_first_is_refused(password: object) -> None:
    """Short ones, favourites with trimmings, runs and repetitions, and one's own address."""
    with pytest.raises(InvalidArgument):
        checked_password(password, "ada@example.com")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery staple", "gvsmx5y5qa", "my dog ate the router", "ünïcödé wörds",
     "密码不是密码而是一句话",
     "klq93 mzz0 1p"],
)  # fmt: skip
def test_what_only_one_person_puts_together_is_taken(password: str) -> None:
    """No rule of composition stands in its way."""
    assert checked_password(password, "ada@example.com") == password


def test_two_keyboards_type_the_same_password() -> None:
    """Composed and decomposed letters, full-width and plain ones, are one."""
    one = checked_password("caf\u00e9 au lait matin")
    assert checked_password("cafe\u0301 au lait matin") == one
    assert checked_password("\uff43\uff41\uff46\u00e9 au lait matin") == one
