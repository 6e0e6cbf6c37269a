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
