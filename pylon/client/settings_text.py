"""Settings and their mistakes in words; for the dashboard and for lines."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue


def value_text(value: Any) -> str:
    """Return a value as pylon.toml has it."""
    if isinstance(value, float):
        return f"{value:g}"
    return jsonvalue.encode_text(value)


def origin_text(one: dict[str, Any]) -> str:
    """Return what named a value, and where."""
    origin, where = str(one["origin"]), str(one["where"])
    return where if where.startswith(origin) else f"{origin} {where}".rstrip()


def mistake_line(one: dict[str, Any]) -> str:
    """Return a mistake as editors read it, with its hint."""
    place = ":".join(str(part) for part in (one["file"], one["line"], one["column"]) if part)
    hint = f" ({one['hint']})" if one["hint"] else ""
    return f"{place + ': ' if place else ''}error: {one['message']} [{one['code']}]{hint}"
