"""Charts of one line: as wide as asked, in glyphs or in ASCII, the newest at the right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylon.tui.sparks import KINDS, spark

VALUES = st.lists(st.none() | st.floats(0, 1e12), max_size=200)


@given(VALUES, st.integers(0, 60), st.sampled_from(KINDS))
def test_a_chart_has_its_width_and_ascii_is_ascii(
    values: list[float | None], width: int, kind: str
) -> None:
    """Whatever was measured; only what was not measured is a space."""
    drawn = spark(values, width, kind=kind)
    assert len(drawn) == width
    assert kind == "blocks" or drawn.isascii()
    if len(values) <= width:
        assert drawn.count(" ") == width - len(values) + values.count(None)


def test_the_largest_is_the_highest_bar_and_nothing_the_lowest() -> None:
    """A little is more than nothing; where values share a cell the largest is seen."""
    assert spark([0, 1, 50, 100], 4) == "▁▂▅█"
    assert spark([0, 1, 50, 100], 4, kind="ascii") == "_.+#"
    assert spark([0, 100, 0, 0], 2) == "█▁"
    assert spark([1, 1], 2, top=100) == "▂▂"
