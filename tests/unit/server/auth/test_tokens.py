"""Tokens and codes: enough chance, none favoured, typed as people type."""

from __future__ import annotations

import itertools
import secrets
from collections import Counter

from pylon.server.auth.tokens import new_code, new_token, plain_code, token_hash


def test_a_token_has_256_bits_and_travels_in_a_header() -> None:
    """32 bytes in letters that need no escape."""
    made = new_token(secrets.token_bytes)
    assert len(made) == 43
    assert made.replace("-", "").replace("_", "").isalnum()
    assert token_hash(made) != token_hash(new_token(secrets.token_bytes))


def test_no_letter_of_a_code_is_favoured() -> None:
    """Over every byte once, each letter comes equally often: the bytes that would tilt are left."""
    stream = itertools.cycle(range(256))
    letters = "".join(
        new_code(lambda count: bytes(itertools.islice(stream, count))) for _ in range(31)
    )
    assert set(Counter(letters).values()) == {8}
    assert not set(letters) & set("IO01L")


def test_a_source_that_repeats_a_rejected_byte_is_asked_again() -> None:
    """A byte that is thrown away shortens no code."""
    answers = iter([b"\xff" * 8, b"\xf8" * 8, bytes(range(8))])
    assert new_code(lambda _: next(answers)) == "ABCDEFGH"


def test_a_code_is_what_people_type() -> None:
    """Case, spaces and dashes do not matter."""
    for typed in ("gvsmx5y5", " GVSM X5Y5 ", "gvsm-x5y5", "GVSM\tX5Y5\n"):
        assert plain_code(typed) == "GVSMX5Y5"
