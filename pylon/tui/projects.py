"""The user's projects as rows of a list: how each is doing, and when it was last touched."""

from __future__ import annotations

from typing import Any

from pylon.supervisor.shelf import Shelved, shelf
from pylon.tui.tables import size_text


def project_rows(now_ms: int) -> list[dict[str, Any]]:
    """Return the known projects as the list shows them. Reads folders: not for the loop."""
    return [row_of(one, now_ms) for one in shelf()]


def row_of(one: Shelved, now_ms: int) -> dict[str, Any]:
    """Return one project as the list shows it."""
    days = one.days_untouched(now_ms)
    error = ""
    if one.error_at_ms is not None:
        error = f"{ago(now_ms - one.error_at_ms)}: {one.error}"
    return {
        "name": one.name, "path": one.path, "state": one.state, "why": one.why,
        "is_missing": one.state == "missing", "is_supervised": one.is_supervised,
        "port": one.port, "url": one.url, "pid": one.pid, "mode": one.mode,
        "disk": size_words(one),
        "backup": "-" if one.backup_at_ms is None else ago(now_ms - one.backup_at_ms),
        "untouched": f"{days} d" if days else "today", "error": error,
        "last_use": ago(now_ms - one.last_used_ms),
    }  # fmt: skip


def size_words(one: Shelved) -> str:
    """Return what a project's data takes, in words."""
    return f"{'>' if one.disk_is_more else ''}{size_text(one.disk_bytes)}"


def ago(ms: int) -> str:
    """Return how long ago something was, in one word."""
    seconds = max(0, ms // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"
