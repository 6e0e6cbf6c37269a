"""The one form of an address (THREATS 43): nobody shares an account by a look-alike."""

from __future__ import annotations

import pytest

from pylon.errors import InvalidArgument
from pylon.server.auth.addresses import normalise_email


def test_case_and_space_around_do_not_matter_and_all_else_does() -> None:
    """Two spellings of one address meet; a tag, a dot, another domain do not."""
    one = {
        normalise_email(text)
        for text in ("ada@example.com", " Ada@Example.COM\n", "ADA@example.com")
    }
    assert one == {"ada@example.com"}
    others = ("ada+x@example.com", "a.da@example.com", "ada@xn--exmple-cua.com", "ada@example.co")
    assert len({normalise_email(text) for text in others} | one) == 5


@pytest.mark.parametrize(
    "text",
    [
        "\u212aim@example.com",  # the Kelvin sign lowers to k
        "ad\u0430@example.com", "ada@ex\u0430mple.com",  # Cyrillic a
        "\uff41da@example.com",  # a full-width a folds to a
        "ad\u0131@example.com", "\u0130da@example.com",  # dotless and dotted i
        "ada@example\u3002com", "a\u200bda@example.com", "ada@ex\u00e4mple.com",
        "\u00a0ada@example.com",
    ],
)  # fmt: skip
def test_what_is_not_ascii_is_refused_before_it_is_folded(text: str) -> None:
    """A look-alike becomes no other's address, and none of its own."""
    with pytest.raises(InvalidArgument):
        normalise_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "ada", "@example.com", "ada@", "ada@@example.com", "a b@example.com",
        "ada@exa mple.com",
        "ada@.com", "ada@example..com", "ada@example.com.", "ada@-example.com", "ada@example-.com",
        "a..b@example.com", ".ada@example.com", "ada.@example.com",
        f"{'a' * 65}@example.com", f"ada@{'a' * 64}.com",
        f"ada@{'.'.join(['a' * 60] * 5)}", "ada@example.com\n\nBcc: eve@example.com",
        "ada@example.com,eve@example.com", "<ada@example.com>", "ada@exam\0ple.com", None, 5,
        ["a@b"],
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: object) -> None:
    """Nothing with two ats, empty labels, line breaks or lists becomes one."""
    with pytest.raises(InvalidArgument):
        normalise_email(text)
