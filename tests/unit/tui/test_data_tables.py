"""Rows on narrow screens and with long names: what people wrote is seen, whatever the width."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pylon.tui.data_tables import Layout, row_words
from tests.screens.data_fakes import data_field, whole

FIELDS: Final = (
    data_field("channelId", "ref", ref="Channel"), data_field("authorId", "ref", ref="User"),
    data_field("body", "text"), data_field("likes", "int"), data_field("sentAt", "datetime"),
)  # fmt: skip
_BODY: Final = "the release broke staging again because nobody looked at it before lunch, or after"


def message(n: int) -> dict[str, object]:
    """Return a row with two references of usual length."""
    return {
        "id": f"0190f3a2-7a2b-7c3d-8e4f-{n:012}",
        "channelId": f"0190f3a2-1111-7c3d-8e4f-c{n:011}",
        "authorId": f"0190f3a2-2222-7c3d-8e4f-a{n:011}",
        "body": _BODY, "likes": n, "sentAt": "2026-11-30T11:50:00.000Z",
    }  # fmt: skip


def line(layout: Layout, width: int, column: int, n: int = 7) -> str:
    """Return a row's line as text."""
    return "".join(text for text, _ in layout.line(message(n), width, column, True))


def head(layout: Layout, width: int, column: int) -> str:
    """Return the line of heads as text."""
    return "".join(text for text, _ in layout.head(width, column))


def made() -> Layout:
    """Return the columns of some messages."""
    return Layout(FIELDS, [message(n) for n in range(9)], "")


def test_on_a_narrow_screen_the_text_is_seen_beside_the_ends_of_references() -> None:
    """Two ids of 36 characters would be all that 80 cells show; their ends tell them apart."""
    layout = made()
    shown = line(layout, 80, 0)
    assert _BODY[:39] in shown
    assert "c00000000007" not in shown
    assert "00000007  " in shown
    assert "channelId →" in head(layout, 80, 0)
    assert "authorId →" in head(layout, 80, 0)


def test_the_reference_under_the_cursor_is_whole() -> None:
    """And the others give way."""
    shown = line(made(), 80, 1)
    assert message(7)["channelId"] in shown
    assert message(7)["authorId"] not in shown


def test_where_all_have_room_no_reference_is_cut() -> None:
    """A wide screen has no reason to."""
    shown = line(made(), 200, 0)
    assert message(7)["channelId"] in shown
    assert message(7)["authorId"] in shown
    assert "2026-11-30T11:50:00.000Z" in shown


def test_what_is_left_is_for_the_text_that_is_cut() -> None:
    """Beyond its usual forty cells, up to the edge."""
    assert _BODY in line(made(), 230, 0)


@given(st.integers(20, 240), st.integers(0, len(FIELDS)), st.integers(0, len(FIELDS)))
def test_lines_fit_and_the_cursor_is_seen(width: int, before: int, column: int) -> None:
    """Wherever the cursor came from; heads stand over their cells."""
    layout = made()
    layout.head(width, before)
    heads = layout.head(width, column)
    cells = layout.line(message(1), width, column, True)
    assert [cell_len(text) for text, _ in heads] == [cell_len(text) for text, _ in cells]
    assert sum(cell_len(text) for text, _ in heads) <= width
    assert "‹" in "".join(text for text, _ in heads)


@pytest.mark.parametrize("width", [10, 30, 48, 104])
def test_a_name_as_long_as_the_screen_leaves_its_value_some_room(width: int) -> None:
    """A field may have a name of 64 letters; a screen may have 40 columns."""
    name = "n" * 64
    entity = {"name": "Task", "fields": [data_field(name)]}
    words = row_words(entity, whole({"id": "t1", "_seq": 1, name: "a value in words"}), width)
    assert "a value in" in words
    assert name in words
