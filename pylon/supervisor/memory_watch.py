"""Whether a runtime keeps more memory than it may. Pure: its statuses in, a reason out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from pylon import limits

#: So many heartbeats with too much memory are no passing peak.
_LARGE_BEATS: Final = 3


@dataclass(slots=True)
class MemoryWatch:
    """Counts heartbeats, one after the other, in which the runtime had too much memory."""

    _large: int = 0

    def too_much(self, status: dict[str, Any]) -> str | None:
        """Return what is to be said where it must be started anew; None where it need not."""
        have, most = status.get("memory_mb", 0.0), status.get("memory_limit_mb") or math.inf
        self._large = self._large + 1 if have > most * limits.MEMORY_RESTART_SHARE else 0
        if self._large < _LARGE_BEATS:
            return None
        self._large = 0
        names = ", ".join(status.get("running", ())) or "nothing"
        return f"it keeps {have:.0f} MiB of memory and may have {most:.0f}; it was running {names}"
