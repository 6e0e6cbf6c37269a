"""What the Functions screen holds: every function with its counts, as the stream tells them.

Pure: messages and a monotonic time in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pylon.tui.functions_tables import FUNCTION_FILTER

#: What the list can be ordered by, and how.
ORDERS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "name": lambda one: one["name"],
    "calls/min": lambda one: (-one["per_minute"], -one["calls"], one["name"]),
    "errors": lambda one: (-one["errors"], -one["refused"], one["name"]),
    "p99": lambda one: (-(one["p99_ms"] or 0), one["name"]),
}
#: A function of which only the counts are told: a built-in one at its first call, or a webhook.
_UNTOLD: Final[dict[str, Any]] = {
    "kind": "built-in", "doc": None, "arguments": [], "returns": "unknown", "part": None,
    "internal": False, "built_in": True, "timeout_s": None, "rate": None, "queue": None,
    "allow": None, "allow_in_words": "", "place": None,
}  # fmt: skip


@dataclass(slots=True)
class FunctionsState:
    """Functions by name; `is_told` once the runtime has named them."""

    by_name: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_told: bool = False

    def fold(self, message: dict[str, Any]) -> None:
        """Take a message of the stream: all functions, or the counts of some."""
        if message["type"] == "functions":
            self.fold_all(message)
        else:
            self.fold_timings(message)

    def fold_all(self, message: dict[str, Any]) -> None:
        """Take all functions: the first message, or one after a reload."""
        self.by_name = {one["name"]: one for one in message["functions"]}
        self.is_told = True

    def fold_timings(self, message: dict[str, Any]) -> None:
        """Take the counts of some."""
        for counts in message["timings"]:
            name = counts["name"]
            known = self.by_name.get(name)
            if known is None:
                kind = "webhook" if name.startswith("webhook:") else _UNTOLD["kind"]
                known = {**_UNTOLD, "signature": name, "kind": kind}
            self.by_name[name] = {**known, **counts}

    def rows(self, terms: str, order: str) -> list[dict[str, Any]]:
        """Return the functions that a filter line finds, in an order of `ORDERS`."""
        found = [one for one in self.by_name.values() if FUNCTION_FILTER.passes(one, terms)]
        return sorted(found, key=ORDERS[order])


def why_not_tried(function: dict[str, Any]) -> str:
    """Return why a function can't be tried with a form; empty where it can."""
    name, kind = function["name"], function["kind"]
    if kind == "job":
        return f"{name} is a job: ctx.jobs.enqueue({name}, …) has its queue run it (6)"
    if kind == "workflow":
        return f"{name} is a workflow: pylon workflows start {name} starts a run"
    if kind == "webhook":
        return f"{name} takes what another service sends: see docs/webhooks.md"
    if function["built_in"]:
        return f"{name} is built in: pylon call {name} JSON calls it"
    if function["internal"]:
        return f"{name} is internal: no call from outside reaches it"
    return ""
