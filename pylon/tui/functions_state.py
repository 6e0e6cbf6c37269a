"""What the Functions screen holds: every function with its counts, as the stream tells them.

Pure: messages and a monotonic time in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

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
_COLUMNS: Final = {"name": "name", "kind": "kind", "place": "place", "allow": "allow_in_words"}


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
        found = [one for one in self.by_name.values() if matches_function(one, terms)]
        return sorted(found, key=ORDERS[order])


def matches_function(function: dict[str, Any], terms: str) -> bool:
    """Tell whether a function passes a filter line.

    Words must all be found in its signature, description, kind, place, last error or in who may
    call it; `kind:x`, `name:x`, `place:x`, `allow:x` look at one of them; a `!` before the line
    turns it round.
    """
    line = terms.strip().lower()
    is_inverse = line.startswith("!")
    words = line.removeprefix("!").split()
    if not words:
        return True
    error = function["last_error"] or {}
    whole = " ".join(
        str(one or "")
        for one in (
            function["name"], function["signature"], function["doc"], function["kind"],
            function["place"], function["allow_in_words"], error.get("code"), error.get("message"),
        )
    ).lower()  # fmt: skip

    def found(word: str) -> bool:
        name, colon, value = word.partition(":")
        if colon and name in _COLUMNS:
            return value in str(function[_COLUMNS[name]] or "").lower()
        return word in whole

    return all(found(word) for word in words) is not is_inverse


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
