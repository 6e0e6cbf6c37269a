"""The window of rows that Data holds: where it stands, whatever came or went above it."""

from __future__ import annotations

import pytest

from pylon.tui.data_state import PAGE, WINDOW_MAX, DataState, Place


def _window(offset: int) -> DataState:
    """Return ten rows with so many above them, as after coming back to a place."""
    state = DataState()
    state.go(Place("Task", key="k10", offset=offset))
    keys = [[0, "k10"], [9, "k19"]]
    rows = [{"id": f"t{n}"} for n in range(10, 20)]
    assert state.take(state.generation, "first", 0, {"rows": rows, "more": False, "keys": keys})
    assert state.is_open_above
    return state


@pytest.mark.parametrize(
    ("offset", "more", "stands"),
    [(150, True, 145), (150, False, 0), (3, True, 0), (5, False, 0)],
)
def test_a_page_above_moves_where_the_window_stands(
    offset: int, stands: int, *, more: bool
) -> None:
    """Its first row is the first of all where there are no more; rows above may have gone since."""
    state = _window(offset)
    above = {"rows": [{"id": f"t{n}"} for n in range(5)], "more": more, "keys": [[0, "k5"]]}
    assert state.take(state.generation, "above", 0, above)
    assert (state.offset, state.is_open_above, len(state.rows)) == (stands, more, 15)


def test_an_answer_to_a_question_before_is_not_taken() -> None:
    """Rows, a count and a refusal, each."""
    state = _window(5)
    before = state.generation
    state.ask(order="-title")
    assert not state.take(before, "first", 0, {"rows": [], "more": False, "keys": []})
    state.count(before, 7)
    state.refuse(before)
    assert (state.total, state.is_answered, len(state.rows)) == (None, None, 10)


def _page(first: int) -> dict[str, object]:
    rows = [{"id": f"t{n}"} for n in range(first, first + PAGE)]
    return {"rows": rows, "more": True, "keys": [[0, f"k{first}"], [PAGE - 1, f"k{first + PAGE}"]]}


def test_a_window_that_is_full_lets_go_of_what_is_far_from_the_cursor() -> None:
    """Of pages, from the other end; who went back up while a page was read keeps his row."""
    state = DataState()
    state.enter("Task")
    assert state.take(state.generation, "first", 0, _page(0))
    pages = WINDOW_MAX // PAGE
    for page in range(1, pages + 1):
        assert state.take(state.generation, "below", 10, _page(page * PAGE))
    assert (state.rows[10]["id"], state.offset, state.is_open_above) == ("t10", 0, False)
    end = len(state.rows)
    assert state.take(state.generation, "below", end - 1, _page(end))
    assert state.is_open_above
    assert len(state.rows) <= WINDOW_MAX + PAGE
    assert state.offset is not None
    assert state.rows[0]["id"] == f"t{state.offset}"
    assert state.rows[-1]["id"] == f"t{end + PAGE - 1}"


def test_private_fields_are_shown_to_the_owner_alone() -> None:
    """Also where they were chosen to be seen: who is looked as has no such column."""
    state = DataState()
    fields = [{"name": "title", "private": False}, {"name": "secret", "private": True}]
    state.entities = [{"name": "Task", "fields": fields}]
    state.enter("Task")
    assert [one["name"] for one in state.fields()] == ["title"]
    state.hidden["Task"] = frozenset()
    assert [one["name"] for one in state.fields()] == ["title", "secret"]
    state.look_as("ada@example.com")
    assert [one["name"] for one in state.fields()] == ["title"]
