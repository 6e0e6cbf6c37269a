"""Text from data never steers a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pylon.printable import clean, clean_block, counted
from pylon.tui.columns import Column, data_line, fitted


@given(st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=80))
def test_nothing_that_steers_comes_through(text: str) -> None:
    """No control byte, no direction mark, no surrogate, and no line break in a line."""
    for shown in (clean(text), clean_block(text).replace("\n", "")):
        for character in shown:
            code = ord(character)
            assert code >= 0x20
            assert not 0x7F <= code <= 0x9F
            assert not 0xD800 <= code <= 0xDFFF
            assert character not in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
            assert character not in "\u2066\u2067\u2068\u2069"


@given(st.text(max_size=60), st.integers(2, 40), st.booleans())
def test_a_cell_takes_exactly_its_width(text: str, width: int, keeps_end: bool) -> None:
    """Long, wide or empty, a cell takes the cells of its column, and is cut with a mark."""
    column = Column("A", width, keeps_end=keeps_end)
    line = "".join(
        piece
        for piece, _ in data_line((column, Column("B", 4)), ((text, "plain"), ("b", "plain")), 80)
    )
    assert cell_len(line) == 80
    assert cell_len(line[: line.rindex(" b ")]) == width + 2


@given(st.integers(20, 220))
def test_columns_fit_every_width(width: int) -> None:
    """The line is never wider than the screen, and the last column takes what is left."""
    columns = (Column("A", 5), Column("B", 8, 60), Column("C", 4, right=True), Column("D", 10))
    cells = (("x" * 50, "plain"), (1, "plain"), (None, "plain"), ("end", "plain"))
    line = "".join(text for text, _ in data_line(columns, cells, width))
    assert len(line) <= max(width, sum(size + 2 for _, size in fitted(columns, width)))


def test_one_is_one() -> None:
    """Numbers agree with their nouns, and are grouped."""
    assert [counted(count, "row") for count in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]
    assert counted(2, "entity", "entities") == "2 entities"
