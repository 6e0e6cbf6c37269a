"""The user's projects as rows of a list: which runs, where, and when it was last used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylon.supervisor import registry


def project_rows(now_ms: int) -> list[dict[str, Any]]:
    """Return the known projects as the list shows them."""
    rows = []
    for one in registry.known_projects():
        running = registry.running_runtime(Path(one.path))
        rows.append(
            {
                "name": one.name,
                "path": one.path,
                "is_missing": not Path(one.path).is_dir(),
                "port": running.port if running else None,
                "url": running.url if running else None,
                "pid": running.pid if running else None,
                "last_use": ago(now_ms - one.last_used_ms),
            }
        )
    return rows


def ago(ms: int) -> str:
    """Return how long ago something was, in one word."""
    seconds = max(0, ms // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"
