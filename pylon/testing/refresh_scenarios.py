"""Stories of refreshes: a policy changed its mind about many rows at once (ALGORITHMS §2)."""

from __future__ import annotations

from pylon.testing.scenario_events import LIVE as _LIVE
from pylon.testing.scenario_events import OPENING as _OPENING
from pylon.testing.scenario_events import Events
from pylon.testing.scenario_events import changes as _changes
from pylon.testing.scenario_events import fired as _fired
from pylon.testing.scenario_events import mutated as _mutated
from pylon.testing.scenario_events import page as _page
from pylon.testing.scenario_events import received as _received
from pylon.testing.scenario_events import refresh as _refresh
from pylon.testing.scenario_events import result as _result
from pylon.testing.scenario_events import results as _results
from pylon.testing.scenario_events import row as _row
from pylon.testing.scenario_events import subscribed as _subscribed
from pylon.testing.scenario_events import upsert as _upsert
from pylon.testing.scenario_events import welcome as _welcome


def refresh() -> Events:
    """A refresh upserts its rows; at its end what matches and was not sent leaves."""
    return [
        *_LIVE,
        _changes(10, 13, _upsert("Note", _row("b", 12, channel="x"), "insert"),
                 _upsert("Note", _row("c", 13, channel="x"), "insert")),
        _changes(13, 13, _refresh(15, {"channel": "x"}, _row("c", 13, channel="x"), done=False),
                 more=True),
        _changes(13, 15, _refresh(15, {"channel": "x"}, _row("d", 14, channel="x"), done=True)),
        _changes(15, 16, _refresh(16, {"channel": None}, done=True)),
    ]  # fmt: skip


def refresh_strict() -> Events:
    """`where` is compared as the server does: by type, nothing coerced, null matching nothing."""
    rows = [
        _row("int", 3, n=1), _row("float", 3, n=1.0), _row("text", 3, n="1"),
        _row("bool", 3, n=True), _row("null", 3, n=None), _row("none", 3),
        _row("list", 3, n=[1]), _row("other", 3, n=2),
    ]  # fmt: skip
    return [
        *_OPENING, _subscribed("s1"), _subscribed("t1", "Tag"), _welcome(), _page("s1", 10, *rows),
        _page("t1", 10, _row("int", 2, n=1), entity="Tag"),
        _changes(10, 11, _refresh(11, {"n": "1"}, done=True)),
        _changes(11, 12, _refresh(12, {"n": True}, done=True)),
        _changes(12, 13, _refresh(13, {"n": None}, done=True)),
        _changes(13, 14, _refresh(14, {"n": 2, "m": 2}, done=True)),
        _changes(14, 15, _refresh(15, {"n": 1}, _row("float", 3, n=1.0), done=True)),
        # Every row of the entity, and of no other.
        _changes(15, 16, _refresh(16, {}, _row("list", 3, n=[1]), done=True)),
    ]  # fmt: skip


def refresh_cut() -> Events:
    """A refresh that breaks off in the middle starts again: what was sent before counts no more."""
    return [
        *_LIVE, _changes(10, 11, _upsert("Note", _row("b", 11, channel="x"), "insert")),
        _changes(11, 11, _refresh(13, {"channel": "x"}, _row("b", 11, channel="x"), done=False),
                 more=True),
        {"type": "lost", "code": 1006}, _fired("reconnect"), {"type": "opened"}, _welcome("e1:14"),
        # Meanwhile `b` was lost from view, too.
        _changes(11, 11, _refresh(13, {"channel": "x"}, _row("c", 12, channel="x"), done=False),
                 more=True),
        _changes(11, 14, _refresh(13, {"channel": "x"}, _row("d", 12, channel="x"), done=True)),
    ]  # fmt: skip


def refresh_overlay() -> Events:
    """Pending mutations stay on top; a row of equal number may have other fields than before."""
    return [
        *_OPENING, _subscribed("s1"), _welcome(),
        _page("s1", 10, _row("a", 3, channel="x", memo="m"), _row("b", 4, channel="x"),
              _row("c", 9, channel="y")), _changes(10, 10),
        _mutated("o1", "update", "a", text="mine"), _mutated("o2", "insert", "n", channel="x"),
        _mutated("o3", "update", "b", text="mine"),
        # `a` keeps its number and loses a guarded field; `c` is newer here than what was sent.
        _changes(10, 12, _refresh(12, {"channel": "x"}, _row("a", 3, channel="x"),
                                  _row("c", 8, channel="x"), done=True)),
        _results("p1", 13, _result("o1", "applied", 13)),
        _changes(12, 13, _upsert("Note", _row("a", 13, channel="x", text="mine"))),
    ]  # fmt: skip


def refresh_hydrating() -> Events:
    """While pages come, a refresh counts for what they brought; pages after it are newer."""
    return [
        *_OPENING, _subscribed("s1"), _welcome(),
        _page("s1", 10, _row("a", 3, channel="x"), _row("b", 4, channel="x"), done=False),
        _changes(10, 12, _refresh(12, {"channel": "x"}, _row("b", 4, channel="x"), done=True)),
        _page("s1", 12, _row("c", 5, channel="x"), _row("d", 6, channel="y")),
        _changes(12, 12),
        # An answer beside the socket could overtake pages: a gap starts the connection over.
        _subscribed("s2", "Tag"), _changes(13, 14, _refresh(14, {}, done=True)),
    ]  # fmt: skip


def refresh_window() -> Events:
    """A refresh takes what it does not send, also from a window, whose next frame follows."""
    return [
        *_OPENING, _subscribed("s1", where={"n": 1}), _subscribed("w1", order=["-n"], limit=2),
        _welcome(), _page("s1", 10, _row("a", 1, n=1, channel="x")),
        _received(type="window", subscription="w1", ids=["b", "a"], at="e1:10", version=0,
                  rows=[_row("b", 2, n=2, channel="x"), _row("a", 1, n=1, channel="x")]),
        _changes(10, 10),
        # What a window lists is sent although no filter matches it.
        _changes(10, 12, _refresh(12, {"channel": "x"}, _row("b", 2, n=2, channel="x"), done=True)),
        _received(type="window", subscription="w1", ids=["b"], at="e1:12", version=0, rows=[]),
        _changes(12, 13, _refresh(13, {"channel": "x"}, done=True)),
        _received(type="window", subscription="w1", ids=[], at="e1:13", version=0, rows=[]),
    ]  # fmt: skip


def window_filtered() -> Events:
    """A row that only a window keeps any more goes with it, though as it is held it would match."""
    left = {"seq": 11, "entity": "Note", "row_id": "a", "kind": "delete", "cause": "filtered"}
    return [
        *_OPENING, _subscribed("s1", where={"n": 1}), _subscribed("w1", order=["-n"], limit=1),
        _welcome(), _page("s1", 10, _row("a", 1, n=1)),
        _received(type="window", subscription="w1", ids=["a"], at="e1:10", version=0, rows=[]),
        _changes(10, 11, left),
        _received(type="window", subscription="w1", ids=["b"], at="e1:12", version=0,
                  rows=[_row("b", 12, n=0)]),
        # It comes again as one that matches.
        _changes(11, 13, _upsert("Note", _row("a", 13, n=1))),
    ]  # fmt: skip


def window_ahead() -> Events:
    """A window's frame may be ahead: what left the filter before it is not what it brought."""
    left = {"seq": 11, "entity": "Note", "row_id": "a", "kind": "delete", "cause": "filtered"}
    return [
        *_OPENING, _subscribed("s1", where={"n": 1}), _subscribed("w1", order=["-n"], limit=1),
        _welcome(), _page("s1", 10, _row("a", 1, n=1)),
        _received(type="window", subscription="w1", ids=["a"], at="e1:12", version=0,
                  rows=[_row("a", 12, n=1)]),
        _changes(10, 12, left, _upsert("Note", _row("a", 12, n=1))),
        _received(type="window", subscription="w1", ids=["b"], at="e1:13", version=0,
                  rows=[_row("b", 13, n=2)]),
        _changes(12, 13),
    ]  # fmt: skip
