"""The lines of what a migration breaks."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.client.plan_text import effect_lines, resync_words


@pytest.mark.parametrize(
    ("connected", "resync", "steps", "wanted"),
    [
        (0, 0, [], "no client is connected"),
        (0, 0, ["rename A.b"], "no client is connected; all load anew: rename A.b"),
        (1, 0, [], "none of 1 connected client has to load anew"),
        (2, 1, [], "1 of 2 connected clients loads anew"),
        (2, 2, ["rename A.b"], "2 of 2 connected clients load anew: rename A.b"),
    ],
)
def test_who_loads_anew_is_counted(
    connected: int, resync: int, steps: list[str], wanted: str
) -> None:
    """With the steps that make everybody do it."""
    assert resync_words({"connected": connected, "resync": resync}, steps) == wanted


def test_long_lists_are_cut_and_say_so() -> None:
    """A plan that nobody made beside a runtime says nothing of clients."""
    plan: dict[str, Any] = {
        "code": [{"words": f"BREAKS: f{at}"} for at in range(20)], "unread": ["g"], "resync": [],
    }  # fmt: skip
    lines = effect_lines(plan)
    assert lines[12:] == ["  … and 8 more: --json has all", "  the source of g can't be read"]


def test_a_subscription_is_shown_whole() -> None:
    """Filter, order, limit and include; a function with its arguments."""
    rows = {
        "entity": "Note", "fn": None, "where": '{"a":1}', "order": ["-b"], "limit": 3,
        "include": ["box"], "fate": "starts over", "clients": 2, "why": "w",
    }  # fmt: skip
    function = {**rows, "entity": None, "fn": "f", "where": "{}", "clients": 1, "fate": "refused"}
    clients = {"connected": 3, "resync": 2, "subscriptions": [rows, function]}
    lines = effect_lines({"code": [], "unread": [], "calls": [], "clients": clients, "resync": []})
    assert lines[1:] == [
        '  STARTS OVER: Note where {"a":1} order -b limit 3 include box, 2 clients: w',
        "  REFUSED: f({}), 1 client: w",
    ]


def test_what_is_not_listed_is_counted() -> None:
    """More kinds than the runtime lists, and more than it tells apart."""
    one = {"fn": None, "entity": "A", "where": "", "order": [], "limit": None, "include": [],
           "clients": 1, "fate": "refused", "why": "it goes"}  # fmt: skip
    clients = {"connected": 9, "resync": 9, "kinds": 1_000, "further": 70, "subscriptions": [one]}
    plan: dict[str, Any] = {"code": [], "unread": [], "resync": [], "clients": clients}
    assert effect_lines(plan)[2:] == [
        "  … and 999 more kinds that are not listed",
        "  … and 70 more subscriptions, of kinds that were not told apart",
    ]


def test_the_plan_of_an_older_runtime_says_what_it_has() -> None:
    """One that tells neither of code nor of clients."""
    assert effect_lines({"text": "drop A.b", "resync": ["drop A.b"]}) == []
