"""The stories that the conformance vectors tell, as events of the client machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pylon.testing.live_scenarios import live_identity, live_reconnection, live_values
from pylon.testing.refresh_scenarios import (
    refresh,
    refresh_cut,
    refresh_hydrating,
    refresh_overlay,
    refresh_strict,
    refresh_window,
    window_ahead,
    window_filtered,
)
from pylon.testing.scenario_events import LIVE as _LIVE
from pylon.testing.scenario_events import OPENING as _OPENING
from pylon.testing.scenario_events import Events
from pylon.testing.scenario_events import batch as _batch
from pylon.testing.scenario_events import changes as _changes
from pylon.testing.scenario_events import delete as _delete
from pylon.testing.scenario_events import fired as _fired
from pylon.testing.scenario_events import mutated as _mutated
from pylon.testing.scenario_events import page as _page
from pylon.testing.scenario_events import received as _received
from pylon.testing.scenario_events import result as _result
from pylon.testing.scenario_events import results as _results
from pylon.testing.scenario_events import row as _row
from pylon.testing.scenario_events import subscribed as _subscribed
from pylon.testing.scenario_events import upsert as _upsert
from pylon.testing.scenario_events import welcome as _welcome

ENTITIES: Final = ("Note", "Tag")
RANDOM: Final = [0.5, 0.25, 0.75]


def hydration() -> Events:
    """Pages and changes interleave; the view is ready when the cursor has passed all pages."""
    return [
        *_OPENING, _subscribed("s1", where={"state": "open"}), _welcome(),
        _page("s1", 12, _row("a", 3, state="open"), _row("b", 12, state="open"), done=False),
        _changes(10, 11, _delete("Note", "a", 11)),
        _page("s1", 11, _row("c", 7, state="open")),
        _changes(11, 13, _upsert("Note", _row("b", 13, state="open"))),
        _changes(13, 15, _delete("Note", "c", 14, cause="filtered"),
                 _upsert("Note", _row("d", 15, state="open"), "insert")),
        _changes(13, 15, _delete("Note", "c", 14, cause="filtered")),
    ]  # fmt: skip


def gap() -> Events:
    """A batch that does not follow the cursor is never applied: what is missing is pulled."""
    return [
        *_LIVE,
        _changes(11, 12, _upsert("Note", _row("b", 12, text="late"), "insert")),
        _changes(12, 13, _upsert("Note", _row("c", 13, text="later"), "insert")),
        {"type": "pulled", "id": 1, "batch": _batch(
            10, 12, _upsert("Note", _row("a", 11, text="two")),
            _upsert("Note", _row("b", 12, text="late"), "insert"))},
        {"type": "pulled", "id": 1, "batch": _batch(10, 12)},
        _changes(20, 21), {"type": "pull_failed", "id": 2, "error": {
            "code": "RESYNC_REQUIRED", "message": "start again"}},
        _fired("reconnect"), {"type": "opened"}, _welcome("e1:21"),
        _page("s1", 21, _row("a", 11, text="two")),
    ]  # fmt: skip


def outgrown() -> Events:
    """An answer asked for before a subscription was there says nothing of its rows."""
    return [
        *_LIVE,
        _changes(11, 12, _upsert("Note", _row("a", 12, text="late"))),
        _subscribed("s2", entity="Tag"),
        _page("s2", 12, _row("t", 12, name="old"), entity="Tag"),
        {"type": "pulled", "id": 1, "batch": _batch(10, 14, _upsert("Note", _row("a", 12)))},
    ]  # fmt: skip


def doubted() -> Events:
    """A row kept for a subscription that the server has not read yet may have ended unheard."""
    return [
        *_LIVE, _changes(10, 11, _upsert("Note", _row("b", 11, text="x"), "insert")),
        _subscribed("s2", where={"text": "x"}), {"type": "unsubscribed", "id": "s1"},
        # b and d came for s1; the end of both fell between the end of s1 and the start of s2.
        _changes(11, 12, _upsert("Note", _row("d", 12, text="x"), "insert")),
        _changes(12, 14),
        _page("s2", 14, _row("c", 9, text="x"), done=False),
        _page("s2", 14, _row("e", 9, text="x")),
    ]  # fmt: skip


def overlay() -> Events:
    """A mutation shows at once, and leaves the overlay when the cursor reaches its effect."""
    return [
        *_LIVE,
        _mutated("o1", "insert", "b", text="mine"), _mutated("o2", "update", "a", text="edited"),
        _results("p1", 11, _result("o1", "applied", 11, value=_row("b", 11, text="mine"))),
        _changes(10, 11, _upsert("Note", _row("b", 11, text="mine", by="u1"), "insert")),
        _results("p2", 11, _result("o2", "rejected", None, error={
            "code": "POLICY_DENIED", "message": "no"})),
        _mutated("o3", "delete", "a"),
        _results("p3", 11, _result("o3", "retry", None, error={
            "code": "UNAVAILABLE", "message": "busy"})),
        _fired("push"), _results("p4", 12, _result("o3", "duplicate", 12)),
        _changes(11, 12, _delete("Note", "a", 12)),
    ]  # fmt: skip


def reconnection() -> Events:
    """After a loss the replica goes on from its cursor; what was in flight goes again."""
    return [
        *_LIVE, _mutated("o1", "insert", "b", text="mine"), {"type": "lost", "code": 1006},
        _subscribed("s2", "Tag"), _fired("reconnect"), {"type": "lost", "code": 1006},
        _fired("reconnect"), {"type": "opened"}, _welcome("e1:12"),
        _results("p2", 12, _result("o1", "duplicate", 11)),
        _changes(10, 12, _upsert("Note", _row("b", 11, text="mine"), "insert")),
        _page("s2", 12, _row("t", 2), entity="Tag"), _fired("healthy"),
        _received(type="goaway", reason="restart", retry_ms=500), {"type": "lost", "code": 1001},
        {"type": "network", "is_online": True}, {"type": "opened"}, _welcome("e1:12"),
        _changes(12, 12), {"type": "network", "is_online": False},
    ]  # fmt: skip


def heartbeat() -> Events:
    """Silence is asked about once, then the connection is given up."""
    return [
        *_LIVE, _fired("heartbeat"), _fired("heartbeat"), _received(type="pong"),
        _fired("heartbeat"), _fired("heartbeat"), _fired("heartbeat"),
    ]  # fmt: skip


def resync() -> Events:
    """A resync drops base rows and cursor, keeps pending ones, and the old rows stay in sight."""
    return [
        *_LIVE, _mutated("o1", "insert", "b", text="mine"),
        _received(type="resync", reason="cursor_too_old", head="e1:30"),
        _page("s1", 30, _row("c", 29, text="new"), done=False), _page("s1", 31),
        _results("p1", 31, _result("o1", "applied", 31)),
        _changes(30, 31, _upsert("Note", _row("b", 31, text="mine"), "insert")),
        _received(type="resync", reason="identity_changed", head="e1:31"),
        _page("s1", 31, _row("b", 31, text="mine")),
    ]  # fmt: skip


def lineage() -> Events:
    """Another epoch ends what the old one had confirmed."""
    return [
        *_LIVE, _mutated("o1", "insert", "b", text="mine"),
        _results("p1", 11, _result("o1", "applied", 11)),
        _received(type="resync", reason="epoch_changed", head="e2:4"),
        _received(type="snapshot", subscription="s1", entity="Note", rows=[], at="e2:4", done=True),
    ]  # fmt: skip


def catching_up() -> Events:
    """While more is to come, what is shown stays as it was, pending mutations on top."""
    return [
        *_LIVE,
        _changes(10, 12, _upsert("Note", _row("a", 11, text="torn")), more=True),
        _mutated("o1", "update", "a", mine=True),
        _changes(12, 14, _upsert("Note", _row("b", 13, text="whole"), "insert")),
    ]  # fmt: skip


def window() -> Events:
    """A window shows what it lists; own rows do not wait for its next frame."""
    return [
        *_OPENING, _subscribed("w1", order=["-n"], limit=2), _welcome(),
        _received(type="window", subscription="w1", ids=["b", "a"], at="e1:10", version=0,
                  rows=[_row("a", 1, n=1), _row("b", 2, n=2)]),
        _mutated("o1", "insert", "c", n=3),
        _results("p1", 11, _result("o1", "applied", 11, value=_row("c", 11, n=3))),
        _changes(10, 11),
        _received(type="window", subscription="w1", ids=["c", "b"], at="e1:11", version=0,
                  rows=[_row("c", 11, n=3)]),
        _mutated("o2", "insert", "d", n=9),
        # Its author may not read it: the answer names the row and shows nothing of it.
        _results("p2", 12, _result("o2", "applied", 12, value=_row("d", 12))), _changes(11, 12),
        # A row that was inserted at 13 and deleted at 14 does not come back with its late answer.
        _mutated("o3", "insert", "e", n=8),
        _received(type="window", subscription="w1", ids=["c", "b"], at="e1:14", version=0, rows=[]),
        _results("p3", 14, _result("o3", "duplicate", 13, value=_row("e", 13, n=8))),
        _changes(12, 14),
        {"type": "unsubscribed", "id": "w1"},
    ]  # fmt: skip


def identity() -> Events:
    """Rows of one principal are gone before another is greeted; his mutations stay his."""
    stored = {
        "cursor": "e1:5", "rows": [["Note", _row("a", 3, text="secret")]],
        "subscriptions": [{
            "id": "s1", "definition": {"entity": "Note", "where": {}}, "phase": "done",
            "after": None, "at": "e1:4", "ids": None, "version": 0, "error": None}],
    }  # fmt: skip
    start = {"type": "started", "client_id": "c1", "stored": stored, "principal": "u1"}
    return [
        start, {"type": "opened"}, _mutated("o1", "insert", "b", text="mine"),
        _welcome(user_id="u2"), {"type": "opened"}, _welcome(user_id="u2"),
        {"type": "pending_loaded", "principal": "u2", "pending": []},
        _page("s1", 10), {"type": "identity"}, {"type": "opened"}, _welcome(user_id=None),
        {"type": "lost", "code": 1006},
        {"type": "refused", "error": {"code": "UNAUTHENTICATED", "message": "bad token"}},
    ]  # fmt: skip


def late_store() -> Events:
    """What was decided while the store was still reading does not come back with its answer."""
    made = _mutated("o1", "insert", "b", text="mine")
    mutation = {**made["mutation"], "principal": "u1"}
    return [
        *_OPENING, made, _subscribed("s1"), _welcome(), _page("s1", 10),
        _results("p1", 11, _result("o1", "applied", 11, value=_row("b", 11, text="mine"))),
        _changes(10, 11, _upsert("Note", _row("b", 11, text="mine"), "insert")),
        _changes(11, 12, _delete("Note", "b", 12)),
        {"type": "pending_loaded", "principal": "u1", "pending": [mutation]},
        {"type": "pending_loaded", "principal": "u1", "pending": [{**mutation, "op_id": "o0"}]},
    ]  # fmt: skip


def offline_start() -> Events:
    """Stored rows are shown when nobody is there, and go on from the cursor when somebody is."""
    events = identity()
    return [
        events[0], {"type": "lost", "code": 1006}, _fired("reconnect"), {"type": "opened"},
        _welcome(), _changes(5, 10, _upsert("Note", _row("a", 8, text="news"))),
        {"type": "saved", "cursor": "e1:10"}, {"type": "saved", "cursor": "e1:11"},
        _fired("ack"), _received(type="schema", schema="h2"), {"type": "closed"}, _fired("ack"),
    ]  # fmt: skip


def refusals() -> Events:
    """Errors reach whom they concern; another protocol version ends it."""
    error = {"code": "INVALID_ARGUMENT", "message": "Note has no field x"}
    return [
        *_LIVE, _subscribed("s2", where={"x": 1}),
        _received(type="error", subscription="s2", error=error),
        _mutated("o1", "insert", "b", text="x"), _mutated("o2", "insert", "c", text="y"),
        _mutated("o3", "insert", "d", text="z"),
        _received(type="error", request_id="p1", error=error),
        _received(type="error", request_id="p2", error=error),
        _received(type="error", request_id="p3", error={"code": "RATE_LIMITED", "message": "slow"}),
        {"type": "unsubscribed", "id": "s2"},
        _received(type="error", error={"code": "UPGRADE_REQUIRED", "message": "reload"}),
    ]  # fmt: skip


def discard() -> Events:
    """One that is given up leaves at once, in flight or not; a decided one stays."""
    applied = {"op_id": "o2", "status": "applied", "seq": 8, "value": None}
    return [
        *_LIVE, _mutated("o1", "insert", "b", text="x"), _mutated("o2", "insert", "c", text="y"),
        _mutated("o3", "insert", "d", text="z"), {"type": "discarded", "op_id": "o1"},
        {"type": "discarded", "op_id": "o3"}, {"type": "discarded", "op_id": "o9"},
        _received(type="results", request_id="p1", results=[
            {"op_id": "o1", "status": "applied", "seq": 7, "value": None}], head="e1:8"),
        _received(type="results", request_id="p2", results=[applied], head="e1:8"),
        {"type": "discarded", "op_id": "o2"},
    ]  # fmt: skip


SCENARIOS: Final[dict[str, Callable[[], Events]]] = {
    one.__name__: one
    for one in (
        catching_up, discard, doubted, gap, heartbeat, hydration, identity, late_store, lineage,
        live_identity, live_reconnection, live_values,
        offline_start, outgrown, overlay, reconnection, refresh, refresh_cut, refresh_hydrating,
        refresh_overlay, refresh_strict, refresh_window, refusals, resync, window,
        window_ahead, window_filtered,
    )
}  # fmt: skip
