"""Pseudonyms: permutations of the same shape, that keep nothing of what they stand for."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.ids import uuid7_time_ms
from pylon.schema.pseudonyms import Pseudonyms

MADE = Pseudonyms(b"one key", frozenset({"draft", "EUR"}))
ID = "01a2290f-de0a-7d23-ab42-713e58676331"


def _shape(text: str) -> str:
    text = re.sub("[a-z]", "a", text)
    return re.sub("[0-9]", "9", re.sub("[A-Z]", "A", text))


@given(st.text(alphabet=string.ascii_letters + string.digits + " .,:/-_!?'", max_size=40))
def test_a_text_has_another_of_its_shape(text: str) -> None:
    """Letters stay letters, digits digits, signs and lengths what they are; always the same."""
    made = MADE.scrambled(text)
    assert _shape(made) == _shape(text)
    assert made == MADE.scrambled(text)


@pytest.mark.parametrize("alphabet", ["ab", "aA", "01", "é", "дю", "日本", "😀🎉", "x1"])
def test_two_texts_never_become_one(alphabet: str) -> None:
    """All texts of up to three characters of an alphabet have as many pseudonyms."""
    texts = {""}
    for _ in range(3):
        texts |= {text + one for text in texts for one in alphabet}
    assert len({MADE.text(one) for one in texts}) == len(texts)
    assert len({MADE.text(one, keeps=False) for one in texts}) == len(texts)


@given(st.integers(1, 3_000), st.text(max_size=4))
def test_numbers_below_a_size_are_permuted(size: int, tweak: str) -> None:
    """Each number below a size becomes another one below it, each one once."""
    some = range(min(size, 200))
    made = {MADE.number(one, size, tweak) for one in some}
    assert len(made) == len(some)
    assert all(0 <= one < size for one in made)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_keeps_its_sign_and_its_digits(value: int) -> None:
    """So it stays as large as it was, and within bounds that it was within."""
    made = MADE.between(value, None, None, "x")
    assert len(str(made)) == len(str(value))
    low, high = value - 7, value + 11
    assert low <= MADE.between(value, low, high, "x") <= high


@given(st.binary(max_size=40))
def test_bytes_become_as_many_others(data: bytes) -> None:
    """The same length, and the same each time."""
    assert len(MADE.octets(data)) == len(data)
    assert MADE.octets(data) == MADE.octets(data)


def test_bytes_never_become_one() -> None:
    """Short ones are permuted, too."""
    texts = [bytes([one]) for one in range(256)] + [bytes([1, one]) for one in range(256)]
    assert len({MADE.octets(one) for one in texts}) == len(texts)


def test_what_programs_made_stays() -> None:
    """Ids, times and texts that stand in the code; in hidden fields nothing does."""
    for kept in (ID, "2026-11-29", "2026-11-29T12:00:00.000Z", "draft", "EUR", ""):
        assert MADE.text(kept) == kept
    for kept in (ID, "2026-11-29T12:00:00.000Z", "draft"):
        assert MADE.text(kept, keeps=False) != kept
    assert uuid7_time_ms(ID) is not None


def test_nothing_becomes_a_text_of_the_code() -> None:
    """A value that is none of the code's words must not be taken for one."""
    one = Pseudonyms(b"k", frozenset(string.ascii_lowercase) - {"q", "x"})
    assert {one.text("q"), one.text("x")} == {"q", "x"}


def test_addresses_lead_nowhere() -> None:
    """An e-mail address stays one, of a name that no server has; one domain stays one."""
    ada, bob = MADE.text("ada@gmail.com"), MADE.text("bob@gmail.com")
    assert re.fullmatch(r"[a-z]{3}@[a-z]{6,}\.invalid", ada)
    assert ada.partition("@")[2] == bob.partition("@")[2]
    assert ada != bob
    assert MADE.text("ada@gmail.org") != ada
    assert MADE.text("https://ada.example/x?y=1").startswith("https://")


def test_hexadecimal_stays_so() -> None:
    """A colour is one again, and a hash."""
    assert re.fullmatch("#[0-9a-f]{6}", MADE.text("#00ff7a"))
    assert re.fullmatch("[0-9a-f]{64}", MADE.text("0f" * 32))


def test_json_keeps_its_form() -> None:
    """Numbers and switches stay, texts and names of members do not, but for those of the code."""
    value = {"draft": [1, 2.5, True, None, "Ada"], "Ada": {"EUR": "x y"}}
    made = MADE.json(value)
    assert made["draft"][:4] == [1, 2.5, True, None]
    (other,) = made.keys() - {"draft"}
    assert other == made["draft"][4] != "Ada"
    hidden = MADE.json({"draft": 4711}, keeps=False)
    assert "draft" not in hidden
    assert list(hidden.values()) != [4711]


def test_another_key_makes_other_pseudonyms() -> None:
    """Two reports can't be held against each other."""
    text = "a text that somebody wrote"
    assert Pseudonyms(b"another").text(text) != MADE.text(text) != text
