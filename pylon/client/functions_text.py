"""Words about functions, the same on the dashboard and on the command line. Pure."""

from __future__ import annotations

from typing import Any, Final

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def rate_words(rate: dict[str, Any] | None) -> str:
    """Return a rate as `rate=` writes it, such as 20/minute; empty for none."""
    if rate is None:
        return ""
    seconds = round(rate["seconds"])
    unit, size = next((name, size) for name, size in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{rate['calls']}/{unit}" if count == 1 else f"{rate['calls']}/{count} {unit}s"


def bound_words(function: dict[str, Any]) -> str:
    """Return how often each caller may call a function, and for how long it may run."""
    found = []
    if function["rate"] is not None:
        found.append(f"{rate_words(function['rate'])} for each caller")
    if function["timeout_s"] is not None:
        found.append(f"stopped after {function['timeout_s']:g} s")
    return " · ".join(found)


def outcome_words(call: dict[str, Any]) -> str:
    """Return what became of a call: done, running, or the code of its error."""
    return str(call["code"] or call["outcome"])


def error_words(error: dict[str, Any] | None) -> str:
    """Return the code and words of a function's last error; empty for none."""
    return "" if error is None else f"{error['code']}: {error['message']}"


def ms_words(value: float | None) -> str:
    """Return milliseconds, short; `-` for none."""
    if value is None:
        return "-"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def live_words(live: dict[str, Any] | None) -> str:
    """Return what following a function costs, in one line; empty where nobody ever did."""
    if live is None:
        return ""
    followers = "1 follower" if live["followers"] == 1 else f"{live['followers']:,} followers"
    failed = f", {live['failed']:,} failed" if live["failed"] else ""
    return (
        f"{followers} · {live['runs']:,} runs, {live['useful']:,} with news{failed}"
        f" · {live['told']:,} values told · p50 {ms_words(live['p50_ms'])}"
        f" · p99 {ms_words(live['p99_ms'])} · {live['rows_read']:,} rows read"
    )


def sharers_words(one: dict[str, Any]) -> str:
    """Return who shares the value of a followed call: three of them, and how many more."""
    shown = one["users"][:3]
    more = one["followers"] - len(shown) if len(one["users"]) > 3 else 0
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
