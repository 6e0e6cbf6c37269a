"""Lines of lists, whatever the runtime tells."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.tui import files_tables, jobs_tables, tables, workflows_tables
from pylon.tui.columns import Column, fitted
from tests.screens.fakes import change, client


def test_a_dashboard_bears_a_runtime_of_another_version() -> None:
    """What an older runtime does not tell is left empty on the screen."""
    old_client = client("ada")
    for name in ("round_trip_ms", "is_ghost", "network"):
        del old_client[name]
    old_change = change(1)
    del old_change["effect"]
    assert "ada@example.com" in "".join(text for text, _ in tables.client_line(old_client, 200))
    assert "row-1" in "".join(text for text, _ in tables.change_line(old_change, 200))


def test_a_slice_is_a_line_of_its_own() -> None:
    """Of no row, with what moved and for whom."""
    one = {**change(1), "kind": "slice", "row_id": "", "effect": "all rows, for everybody"}
    text = "".join(text for text, _ in tables.change_line(one, 200))
    assert "= slice" in text
    assert "all rows, for everybody" in text


def test_a_narrow_log_has_room_for_what_was_done() -> None:
    """On 80 cells the time has no milliseconds, and what was done takes a quarter of the line."""
    one = {**change(1), "at": "2026-11-29T21:55:13.737Z", "effect": 'body: "hello bob"'}
    text = "".join(text for text, _ in tables.change_line(one, 80))
    assert 'body: "hello bob"' in text
    assert "21:55:13 " in text
    assert "…" not in text
    assert "21:55:13.737" in "".join(text for text, _ in tables.change_line(one, 100))


def test_what_is_cut_on_a_narrow_screen_is_whole_on_a_wide_one() -> None:
    """Columns grow as far as they are good for, once the last one has what it wants."""
    columns = (Column("A", 10, most=30), Column("B", 8), Column("C", 10, most=14), Column("D", 70))
    for width in range(40, 260):
        found = dict(fitted(columns, width))
        assert sum(size + 2 for size in found.values()) == max(width, 4 + 3 * 2 + 28 + 2)
        assert found[columns[1]] == 8
    assert [size for _, size in fitted(columns, 80)] == [10, 8, 10, 44]
    assert [size for _, size in fitted(columns, 106)] == [10, 8, 10, 70]
    assert [size for _, size in fitted(columns, 116)] == [20, 8, 10, 70]
    assert [size for _, size in fitted(columns, 130)] == [30, 8, 14, 70]
    assert [size for _, size in fitted(columns, 200)] == [30, 8, 14, 140]
    one = {**change(1), "cause": "workflow:order", "user": "somebody@example.com"}
    text = "".join(text for text, _ in tables.change_line(one, 200))
    assert " workflow:order " in text
    assert " somebody@example.com " in text


@pytest.mark.parametrize("time", ["", "now", "2026-11-30T09:00:33.413Z\x1b]0;PWNED\x07", 7])
def test_a_time_that_is_none_is_long_ago(time: Any) -> None:
    """A runtime elsewhere may say anything: the screens go on, and show no time of theirs."""
    job = {"state": "dead", "ended_at": str(time), "started_at": time, "due_at": time}
    assert "\x1b" not in jobs_tables.when_words(job, 1_000)[:1]
    for state in ("scheduled", "available", "running"):
        assert jobs_tables.when_words({**job, "state": state}, 1_000) in ("in 0 s", "for 1 s")
    run = {"created_at": time, "ended_at": None}
    assert workflows_tables.age_words(run, 1_000) == "1 s"
    assert files_tables.drawn({"created_at": time}, 1_000)["age"] == "1 s"
