"""Pictures of screens: their text is in them, in its place, and so are the colours."""

from __future__ import annotations

from xml.etree import ElementTree

from pylon.tui.picture import Cell, svg_of, text_of


def _line(text: str, fore: str = "", back: str = "", *, is_bold: bool = False) -> list[Cell]:
    return [Cell(char, fore, back, is_bold=is_bold) for char in text]


def test_the_text_of_a_picture_is_that_of_the_screen() -> None:
    """Whatever stands on it: blanks between, empty lines, and what SVG would take for its own."""
    lines = ["  <a> & b   c", "", "x" * 13, "              "]
    drawn = svg_of([_line(one.ljust(14)) for one in lines], title="a < b")
    assert text_of(drawn) == ["  <a> & b   c", "", "x" * 13]
    root = ElementTree.fromstring(drawn)
    assert [one.text for one in root if one.tag.endswith("title")] == ["a < b"]


def test_runs_of_one_look_are_one_text_and_backgrounds_lie_behind() -> None:
    """Words of one colour stay together; a bold one is bold; a background is as wide as they."""
    line = [*_line("ab cd", "ff0000"), *_line(" ef", "00ff00", "0000ff", is_bold=True)]
    drawn = svg_of([line], title="colours")
    assert ">ab cd</text>" in drawn
    assert 'fill="#00ff00" class="b">ef</text>' in drawn
    assert 'width="25.2" height="17" fill="#0000ff"/>' in drawn
    assert drawn == svg_of([line], title="colours")
