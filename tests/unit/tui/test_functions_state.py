"""The functions that the dashboard holds: folded, filtered, ordered."""

from __future__ import annotations

import pytest

from pylon.tui.functions_state import FunctionsState, why_not_tried
from tests.screens.fakes import AT, function, functions

FAULT = {"at": AT, "code": "INTERNAL", "message": "it broke"}
POST = function("post", doc="Say it", calls=9, per_minute=2, p99_ms=8.0)
FIND = function("find", kind="query", errors=3, last_error=FAULT, place="search.py:3")
TALK = function("talk", kind="action", per_minute=7, p99_ms=90.0)


def _state() -> FunctionsState:
    state = FunctionsState()
    state.fold_all(functions(TALK, POST, FIND))
    return state


def test_counts_move_and_a_reload_takes_away_what_is_gone() -> None:
    """Timings change the counts alone; one that was never told of is there with its counts."""
    state = _state()
    state.fold_timings({"type": "timings", "timings": [
        {"name": "post", "calls": 10, "per_minute": 3},
        function("webhook:stripe", calls=1), function("pylon.insert", calls=2),
    ]})  # fmt: skip
    assert (state.by_name["post"]["calls"], state.by_name["post"]["doc"]) == (10, "Say it")
    counts = {name: FIND[name] for name in ("calls", "errors", "refused", "per_minute", "p50_ms",
                                            "p99_ms", "running", "last_error")}  # fmt: skip
    fresh = FunctionsState()
    fresh.fold_timings({"timings": [{"name": "webhook:stripe", **counts}]})
    assert fresh.by_name["webhook:stripe"]["kind"] == "webhook"
    assert fresh.rows("webhook", "errors")[0]["signature"] == "webhook:stripe"
    state.fold_all(functions(FIND))
    assert list(state.by_name) == ["find"]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["find", "post", "talk"]), ("calls/min", ["talk", "post", "find"]),
        ("errors", ["find", "post", "talk"]), ("p99", ["talk", "post", "find"]),
    ],
)  # fmt: skip
def test_the_list_is_ordered_by_each_figure(order: str, names: list[str]) -> None:
    """The most of it first; names where it is the same."""
    assert [one["name"] for one in _state().rows("", order)] == names


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ("kind:query", ["find"]), ("internal broke", ["find"]), ("!kind:query", ["post", "talk"]),
        ("SAY", ["post"]), ("place:search", ["find"]), ("name:o", ["post"]), ("a:b", []),
        ("allow:signed", ["find", "post", "talk"]), ("  ", ["find", "post", "talk"]),
    ],
)  # fmt: skip
def test_a_line_finds_functions(terms: str, names: list[str]) -> None:
    """Words in any column, in any case; a column by its name; a ! turns it round."""
    assert [one["name"] for one in _state().rows(terms, "name")] == names


def test_what_nobody_may_call_says_why() -> None:
    """Jobs, workflows, webhooks, built-in and internal ones."""
    for kind in ("job", "workflow", "webhook"):
        assert why_not_tried(function("x", kind=kind, internal=True)).startswith("x ")
    assert "pylon call" in why_not_tried(function("pylon.insert", built_in=True))
    assert "internal" in why_not_tried(function("x", internal=True))
    assert why_not_tried(POST) == ""
