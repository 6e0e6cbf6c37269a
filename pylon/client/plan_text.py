"""What a migration that waits does to code and clients, in lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SHOWN_MAX: Final = 12


def effect_lines(plan: Mapping[str, Any]) -> list[str]:
    """Return what the plan takes from the app's code, from callers and from subscriptions.

    Args:
        plan: as the runtime tells it; one that was made without a runtime knows no clients, and
            an older runtime tells less.
    """
    lines = _cut([f"  {one['words']}" for one in plan.get("code", ())])
    unread = plan.get("unread", ())[:_SHOWN_MAX]
    lines += [f"  the source of {name} can't be read" for name in unread]
    calls, clients = plan.get("calls"), plan.get("clients")
    if calls is not None:
        lines += _cut([f"  CALLERS: {one['name']} {', '.join(one['changes'])}" for one in calls])
    if clients is not None:
        lines.append(f"  {resync_words(clients, plan.get('resync', []))}")
        lines += _subscriptions(clients)
    return lines


def resync_words(clients: Mapping[str, Any], steps: list[str]) -> str:
    """Return how many of the connected clients load anew, and which steps make all of them."""
    connected, resync = clients["connected"], clients["resync"]
    if not connected:
        return "no client is connected" + (f"; all load anew: {', '.join(steps)}" if steps else "")
    if not resync:
        return f"none of {_clients(connected)} has to load anew"
    because = f": {', '.join(steps)}" if steps else ""
    return f"{resync} of {_clients(connected)} load{'s' * (resync == 1)} anew{because}"


def _subscriptions(clients: Mapping[str, Any]) -> list[str]:
    shown = clients["subscriptions"]
    lines = _cut([f"  {_subscription(one)}" for one in shown])
    if (unlisted := clients.get("kinds", 0) - len(shown)) > 0:
        lines.append(f"  … and {unlisted:,} more kinds that are not listed")
    if further := clients.get("further", 0):
        lines.append(f"  … and {further:,} more subscriptions, of kinds that were not told apart")
    return lines


def _clients(count: int) -> str:
    return f"{count} connected client{'s' * (count != 1)}"


def _subscription(one: Mapping[str, Any]) -> str:
    if one["fn"] is not None:
        what = f"{one['fn']}({one['where']})"
    else:
        what = one["entity"]
        what += f" where {one['where']}" if one["where"] not in ("", "{}") else ""
        what += f" order {', '.join(one['order'])}" if one["order"] else ""
        what += f" limit {one['limit']}" if one["limit"] is not None else ""
        what += f" include {', '.join(one['include'])}" if one["include"] else ""
    count = one["clients"]
    return f"{one['fate'].upper()}: {what}, {count} client{'s' * (count != 1)}: {one['why']}"


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN_MAX
    return lines if more <= 0 else [*lines[:_SHOWN_MAX], f"  … and {more} more: --json has all"]
