"""`python -m pylon.tui.screenshot FILE.svg`: the README's picture, from the real screens.

The dashboard is fed with a short conversation over the same messages that a runtime sends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from rich.color import Color
from rich.style import Style
from textual.app import App

from pylon.client.admin import AdminClient
from pylon.clock import SystemClock, iso_ms
from pylon.tui.dashboard import Dashboard
from pylon.tui.picture import Cell, Grid, svg_of

_SIZE = (100, 26)
_START_MS = 1_795_521_600_000
_PEOPLE = ("ada@example.com", "grace@example.com", "linus@example.com")
_TALK = (
    "morning! who broke the build?", "not me, I was asleep", "it was the cache again",
    "shall we ship on Friday?", "never on a Friday", "the numbers look good, though",
    "coffee first", "I can see your edit already", "no refresh needed",
)  # fmt: skip
_TITLE = "The Log of the chat example: two people talk"
#: Pauses of a hundredth of a second until everything is drawn, at most.
_PAUSES_MAX = 3_000
#: So many looks in a row find the same where all has come to rest.
_ALIKE = 30


class _Evening(SystemClock):
    """A clock that goes on when the conversation does: it is drawn alike on every machine."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ms(self) -> int:
        """Return when the conversation ends."""
        return _START_MS + 41_000

    def monotonic(self) -> float:
        """Return what the conversation says."""
        return self.seconds


class _Conversation(AdminClient):
    """An admin stream that tells of people who talk."""

    def __init__(self, clock: _Evening) -> None:
        super().__init__("http://127.0.0.1")
        self._clock = clock

    async def stream(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a status and the changes of a conversation, then nothing more."""
        changes = [_change(n) for n in range(1, 41)]
        for writes in (0, 12):
            yield _status(writes=writes)
            yield {"type": "changes", "changes": changes, "dropped": 0}
            self._clock.seconds += 1.0
        await asyncio.Event().wait()


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
        "schema": "", "project": "", "branch": "main",
        "backup": {"proven_age_s": 7_200, "last_state": "proven"},
        "host": "127.0.0.1", "port": 4321, "pid": 4711, "epoch": "e",
        "head": 450, "horizon": 0, "clients": 3, "writes": writes, "batches": writes,
        "commit_ms": 0.9, "errors": 0, "calls": 40, "uptime_s": 61.0, "loop_lag_ms": 0.3,
        "memory_mb": 58.0, "synchronous": "full", "sqlite": "3.46.0", "journal_mode": "wal",
        "has_wal_reset_fault": False, "database_bytes": 196_608, "wal_bytes": 61_440,
        "health": "ok", "at": iso_ms(_START_MS),
    }  # fmt: skip


def cells(app: App[Any]) -> Grid:
    """Return the screen of a Textual app, cell by cell."""
    return [
        [cell for segment in strip for cell in _cells(segment.text, segment.style or Style())]
        for strip in app.screen._compositor.render_strips()
    ]


def _cells(text: str, style: Style) -> list[Cell]:
    fore, back = _hex(style.color), _hex(style.bgcolor)
    if style.reverse:
        fore, back = back, fore
    return [Cell(char, fore, back, is_bold=bool(style.bold)) for char in text]


def _hex(colour: Color | None) -> str:
    return "" if colour is None or colour.triplet is None else colour.triplet.hex.lstrip("#")


async def draw() -> str:
    """Return the picture of the Log pane as SVG, in the fonts of whoever looks at it."""
    clock = _Evening()
    app = Dashboard(clock, _Conversation(clock))
    async with app.run_test(size=_SIZE) as pilot:
        before, alike = "", 0
        for _ in range(_PAUSES_MAX):
            await pilot.pause(0.01)
            text = "".join(cell.char for line in cells(app) for cell in line)
            is_there = all(words in text for words in ("12 writes/s", "40/40", "Quit"))
            # A bar that scrolls comes to its place after what it is for.
            alike = alike + 1 if is_there and text == before else 0
            before = text
            if alike == _ALIKE:
                break
        return svg_of(cells(app), title=_TITLE)


def main() -> int:
    """Draw into the file that is named."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m pylon.tui.screenshot FILE.svg\n")
        return 2
    Path(sys.argv[1]).write_text(asyncio.run(draw()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
