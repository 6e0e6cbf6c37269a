"""Server-sent events come whole, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pylon.client.event_lines import EventLines

TEXT = b'event: part\ndata: {"value":"\xc3\xa9"}\n\n:\n\nevent: returned\ndata: {"value":null}\n\n'


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_events_are_the_same_wherever_they_are_cut(cuts: list[int]) -> None:
    """Any division into chunks gives the same events."""
    lines, places = EventLines(), [0, *sorted(cuts), len(TEXT)]
    found = [event for start, end in pairwise(places) for event in lines.take(TEXT[start:end])]
    assert found == [("part", '{"value":"é"}'.encode()), ("returned", b'{"value":null}')]
