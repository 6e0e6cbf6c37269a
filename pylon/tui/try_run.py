"""One try of a function: under way or over, with its parts, its value or its error. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.printable import clean_block
from pylon.tui.copying import pretty
from pylon.tui.tables import duration_text

#: Lines and characters of an answer that are shown; all of it can be copied.
SHOWN_LINES_MAX: Final = 1_000
SHOWN_CHARACTERS_MAX: Final = 65_536


class Phase(StrEnum):
    """How far a try has come."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LEFT = "left"


@dataclass(slots=True)
class TryRun:
    """What was asked, and what came of it."""

    name: str
    kind: str
    args: dict[str, Any]
    user: str
    started: float
    streams: bool
    phase: Phase = Phase.RUNNING
    ended: float | None = None
    value: Any = None
    error: dict[str, Any] = field(default_factory=dict)
    #: JSON texts of the parts that are kept, and how many came.
    parts: deque[str] = field(default_factory=deque)
    count: int = 0
    _kept_bytes: int = 0

    def take_part(self, value: Any) -> None:
        """Take a part; beyond 8 MiB the oldest are forgotten."""
        text = jsonvalue.encode_text(value)
        self.parts.append(text)
        self.count += 1
        self._kept_bytes += len(text)
        while self._kept_bytes > limits.RESULT_BYTES_MAX and len(self.parts) > 1:
            self._kept_bytes -= len(self.parts.popleft())

    def end(self, phase: Phase, now: float) -> None:
        """Take it that it is over."""
        self.phase, self.ended = phase, now

    @property
    def answer(self) -> str | None:
        """Return all of the answer as JSON text; None where there is none to copy."""
        if self.count:
            return f"[{','.join(self.parts)}]"
        if self.phase is Phase.DONE:
            return jsonvalue.encode_text(self.value)
        return jsonvalue.encode_text({"error": self.error}) if self.error else None

    def headline(self, now: float) -> str:
        """Return how it stands, in one line."""
        seconds = (self.ended if self.ended is not None else now) - self.started
        took = f"{seconds * 1000:,.0f} ms" if seconds < 10 else duration_text(seconds)
        several = "1 part" if self.count == 1 else f"{self.count:,} parts"
        parts = f" · {several}" if self.count else ""
        if self.phase is Phase.RUNNING:
            leaving = "esc cancels" if self.kind == "action" else "esc waits no longer"
            return f"◔ running for {duration_text(seconds)} as {self.user}{parts} · {leaving}"
        if self.phase is Phase.DONE:
            return f"✓ done in {took} as {self.user}{parts}"
        if self.phase is Phase.FAILED:
            return f"✗ {self.error.get('code', 'failed')} after {took} as {self.user}{parts}"
        if self.kind == "action":
            return f"- cancelled after {took}{parts}: what it wrote before stays"
        return f"- not waited for after {took}: it may be done all the same"

    def words(self) -> str:
        """Return parts, value or error as lines to read; long ones are cut, and say so."""
        lines: list[str] = []
        if self.error:
            lines += [str(self.error.get("message", "")), *_details(self.error)]
        if self.count:
            shown = list(self.parts)[-SHOWN_LINES_MAX:]
            left = self.count - len(shown)
            lines += [f"… {left:,} parts before"] if left else []
            lines += [f"· {one}" for one in shown]
        if self.phase is Phase.DONE and not (self.count or (self.streams and self.value is None)):
            lines += pretty(self.value).splitlines()
        return _cut(lines, from_end=bool(self.count))


def _details(error: dict[str, Any]) -> list[str]:
    lines = [str(error["hint"])] if error.get("hint") else []
    details = {
        name: one
        for name, one in (error.get("details") or {}).items()
        if name not in ("problems", "field")  # they stand at their fields
    }
    return lines + ([jsonvalue.encode_text(details)] if details else [])


def _cut(lines: list[str], *, from_end: bool) -> str:
    """Return as many lines as are shown; of a stream the last ones."""
    left, size = 0, 0
    kept: list[str] = []
    for line in reversed(lines) if from_end else lines:
        if size >= SHOWN_CHARACTERS_MAX or len(kept) >= SHOWN_LINES_MAX + 3:
            left += 1
            continue
        shown = line[: SHOWN_CHARACTERS_MAX - size]
        size += len(shown) + 1
        kept.append(shown if len(shown) == len(line) else f"{shown} …")
    if from_end:
        kept.reverse()
    if left:
        kept.insert(0 if from_end else len(kept), f"… {left:,} more lines; y copies all")
    return clean_block("\n".join(kept))
