"""The stories of the conformance vectors about followed query functions."""

from __future__ import annotations

from typing import Any

from pylon.testing.scenario_events import (
    LIVE,
    OPENING,
    Events,
    changes,
    delete,
    fired,
    page,
    received,
    row,
    welcome,
)


def _followed(subscription_id: str, fn: str, **args: Any) -> dict[str, Any]:
    return {"type": "followed", "id": subscription_id, "fn": fn, "args": args}


def _value(subscription: str, value: Any, at: int) -> dict[str, Any]:
    return received(type="value", subscription=subscription, value=value, at=f"e1:{at}")


def _error(subscription: str, code: str) -> dict[str, Any]:
    return received(
        type="error", subscription=subscription, error={"code": code, "message": "no"}
    )  # fmt: skip


def live_values() -> Events:
    """A value is shown when it comes, an equal one changes nothing, an error takes its place."""
    return [
        *OPENING, _followed("f1", "count", channelId="a"), welcome(), _value("f1", 1, 10),
        _value("f1", 1, 12), _value("f1", {"n": [1, None]}, 13), _value("f1", {"n": [1, None]}, 14),
        _error("f1", "POLICY_DENIED"), _value("f1", 2, 15), _value("f9", 3, 15),
        {"type": "unsubscribed", "id": "f1"}, _value("f1", 4, 16),
    ]  # fmt: skip


def live_reconnection() -> Events:
    """Values stay in sight over a loss and come anew; pulls ask for rows alone."""
    return [
        *LIVE, _followed("f1", "count"), _value("f1", 1, 10), _error("f1", "INTERNAL"),
        _value("f1", 1, 11), {"type": "lost", "code": 1006}, _followed("f2", "board", top=3),
        fired("reconnect"), {"type": "opened"}, welcome("e1:12"), _value("f1", 2, 12),
        _value("f2", None, 12), changes(11, 13, delete("Note", "a", 13)),
        {"type": "unsubscribed", "id": "f2"},
    ]  # fmt: skip


def live_identity() -> Events:
    """What was told to one caller is gone before another is told anything."""
    return [
        *LIVE, _followed("f1", "me"), _value("f1", "u1", 10),
        received(type="resync", reason="gap", head="e1:11"), page("s1", 11, row("a", 3)),
        received(type="resync", reason="identity_changed", head="e1:12"),
        _value("f1", "u1 as chief", 12), {"type": "identity"}, {"type": "opened"},
        welcome(user_id="u2"), {"type": "opened"}, welcome(user_id="u2"), _value("f1", "u2", 12),
    ]  # fmt: skip
