"""`python -m pylon.tui.screenshot FILE.svg`: the README's picture, from the real screens.

The dashboard is fed with a short conversation over the same messages that a runtime sends.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock, iso_ms
from pylon.tui.dashboard import Dashboard

_SIZE = (100, 26)
_START_MS = 1_795_521_600_000
_PEOPLE = ("ada@example.com", "grace@example.com", "linus@example.com")
_TALK = (
    "morning! who broke the build?", "not me, I was asleep", "it was the cache again",
    "shall we ship on Friday?", "never on a Friday", "the numbers look good, though",
    "coffee first", "I can see your edit already", "no refresh needed",
)  # fmt: skip
_FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_COMMENTS = re.compile(r"<!--.*?-->\s*", re.DOTALL)


class _Conversation(AdminClient):
    """An admin stream that tells of people who talk."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """Yield a status and the changes of a conversation, then nothing more."""
        changes = [_change(n) for n in range(1, 41)]
        for writes in (0, 12):
            yield _status(writes=writes)
            yield {"type": "changes", "changes": changes, "dropped": 0}
            await asyncio.sleep(1.0)
        await asyncio.sleep(60)


def _change(n: int) -> dict[str, Any]:
    kinds = {1: "insert", 17: "update", 29: "delete"}
    entity = "Channel" if n in (1, 12) else "ReadMark" if n % 7 == 0 else "Message"
    return {
        "seq": 410 + n, "tx": 400 + n, "at": iso_ms(_START_MS + n * 873),
        "entity": entity, "row_id": f"01a20e1a-b7{n:02x}-7000-a966-4d707e87{n * 37 % 256:02x}ad",
        "kind": kinds.get(n, "update" if entity == "ReadMark" else "insert"),
        "user": _PEOPLE[n % 3], "cause": "ws", "operation_id": None,
        "effect": _effect(n, entity),
    }  # fmt: skip


def _effect(n: int, entity: str) -> str:
    if entity == "Channel":
        return f'name: "{"general" if n == 1 else "shipping"}"'
    if entity == "ReadMark":
        return f'readAt: "…T11:59:{n:02}.000Z" → "…T12:00:{n:02}.000Z"'
    said = _TALK[n % len(_TALK)]
    return f'body: "{said}" → "{said}!"' if n == 17 else f'body: "{said}"'


def _status(*, writes: int) -> dict[str, Any]:
    return {
        "type": "status", "app": "chat", "version": "1", "environment": "dev", "generation": 3,
        "schema": "", "project": "", "host": "127.0.0.1", "port": 4321, "pid": 4711, "epoch": "e",
        "head": 450, "horizon": 0, "clients": 3, "writes": writes, "batches": writes,
        "commit_ms": 0.9, "errors": 0, "calls": 40, "uptime_s": 61.0, "loop_lag_ms": 0.3,
        "memory_mb": 58.0, "synchronous": "full", "sqlite": "3.46.0", "journal_mode": "wal",
        "has_wal_reset_fault": False, "database_bytes": 196_608, "wal_bytes": 61_440,
        "health": "ok", "at": iso_ms(_START_MS),
    }  # fmt: skip


async def draw(path: Path) -> None:
    """Write the picture of the Log pane as SVG, with the fonts of whoever looks at it."""
    app = Dashboard(SystemClock(), _Conversation())
    async with app.run_test(size=_SIZE) as pilot:
        await pilot.pause(1.6)
        svg = app.export_screenshot(title="pylon")
    svg = _COMMENTS.sub("", _FONT_FACES.sub("", svg))
    path.write_text(svg, encoding="utf-8")


def main() -> int:
    """Draw into the file that is named."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m pylon.tui.screenshot FILE.svg\n")
        return 2
    asyncio.run(draw(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
