"""The accounts that the Users screen holds, against a list that changes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.client.understanding import MISUNDERSTANDINGS
from pylon.tui.users_pages import LONG_PAGE, PAGE, UserPages, Wanted

KEYS = st.lists(st.integers(0, 2_000).map(lambda n: f"{n:05d}"), unique=True, max_size=900)


def _answer(keys: list[str], asked: Wanted) -> dict[str, Any]:
    """Return what the runtime says to a question."""
    found = [key for key in sorted(keys) if key > asked.after][: asked.limit]
    following = found[-1] if len(found) == asked.limit else None
    return {"users": [{"key": key} for key in found], "next": following, "total": len(keys)}


def _read(pages: UserPages, keys: list[str], cursor: int, top: int, height: int) -> Wanted:
    wanted = pages.next_wanted(cursor, top, height)
    assert pages.take(wanted, _answer(keys, wanted))
    return wanted


def _held(pages: UserPages) -> list[str]:
    return [row["key"] for row in pages.rows]


@settings(max_examples=30, deadline=None)
@given(before=KEYS, after=KEYS, place=st.integers(0, 900))
def test_what_is_in_sight_is_what_there_is(before: list[str], after: list[str], place: int) -> None:
    """Whatever comes and goes, two questions later the lines in sight are the runtime's."""
    pages = UserPages()
    pages.begin("")
    for _ in range(1 + place // PAGE):
        _read(pages, before, place, max(0, place - 10), 20)
    top = min(max(0, place - 10), max(0, len(pages.rows) - 20))
    seen = _held(pages)[max(0, top - 10) :]
    first = _held(pages)[max(0, top - 10) - 1] if top > 10 else ""
    _read(pages, after, top, top, 20)
    assert _held(pages) == sorted(set(_held(pages)))
    _read(pages, after, top, top, 20)
    if seen or not first:
        here = [key for key in _held(pages) if key > first][:30]
        assert here == [key for key in sorted(after) if key > first][: len(here)]
    assert pages.total == len(after)


def test_pages_come_when_the_cursor_nears_the_end() -> None:
    """The first page, nothing while it is far, then the next behind the last."""
    keys = [f"{n:05d}" for n in range(10_000)]
    pages = UserPages()
    assert pages.is_missing(0)
    assert _read(pages, keys, 0, 0, 20).limit == PAGE
    assert (len(pages.rows), pages.total, pages.has_more) == (PAGE, 10_000, True)
    assert not pages.is_missing(10)
    assert _read(pages, keys, 10, 0, 20) == Wanted("", "", 40)
    assert len(pages.rows) == PAGE
    assert pages.is_missing(PAGE - 5)
    assert _read(pages, keys, PAGE - 5, PAGE - 20, 20).after == keys[PAGE - 1]
    assert _held(pages) == keys[: 2 * PAGE]


def test_the_end_is_reached_by_long_pages() -> None:
    """Ten thousand accounts take eleven questions, and none of them is held twice."""
    keys = [f"{n:05d}" for n in range(10_000)]
    pages = UserPages()
    _read(pages, keys, 0, 0, 20)
    pages.wants_end = pages.has_more
    questions = 0
    while pages.wants_end:
        assert _read(pages, keys, 0, 0, 20).limit == LONG_PAGE
        questions += 1
    assert (_held(pages), pages.has_more, questions) == (keys, False, 10)


def test_an_answer_to_an_older_search_is_left_out() -> None:
    """What was asked before the line changed does not come back into the list."""
    pages = UserPages()
    old = pages.next_wanted(0, 0, 20)
    pages.begin("ada")
    assert not pages.take(old, _answer(["a"], old))
    assert pages.rows == []
    _read(pages, ["ada"], 0, 0, 20)
    assert _held(pages) == ["ada"]


def test_a_page_of_a_list_that_was_begun_anew_is_not_its_first() -> None:
    """One searched for something else and back again, faster than the answer came."""
    pages = UserPages()
    first = pages.next_wanted(0, 0, 10)
    pages.take(first, {"users": _users(200), "next": "more", "total": 300})
    second = pages.next_wanted(190, 150, 10)
    assert second.after
    pages.begin("x")
    pages.begin("")
    assert not pages.take(second, {"users": _users(100, 200), "next": None, "total": 300})
    assert pages.total is None
    assert pages.take(first, {"users": _users(200), "next": "more", "total": 300})
    assert len(pages.rows) == 200


def _users(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"key": f"{start + n:05}"} for n in range(count)]


@pytest.mark.parametrize("row", [{"email": "a@example.com"}, {"key": 7}, "a@example.com"])
def test_an_account_without_its_place_is_not_held(row: Any) -> None:
    """Of another version: what comes later finds its place among what is held."""
    pages = UserPages()
    pages.begin("")
    _read(pages, ["00001", "00003"], 0, 0, 20)
    with pytest.raises(MISUNDERSTANDINGS):
        pages.take(pages.next_wanted(0, 0, 20), {"users": [row], "next": None, "total": 1})
    _read(pages, ["00001", "00002"], 0, 0, 20)
    assert _held(pages) == ["00001", "00002"]
