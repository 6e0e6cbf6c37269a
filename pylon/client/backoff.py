"""How long to wait before the next try: exponential with full jitter and a cap."""

from __future__ import annotations

from typing import Final

#: The first windows are wide enough to spread a crowd after a restart (I37).
WINDOW_MS_FIRST: Final = 5_000
WINDOW_MS_MAX: Final = 30_000
#: From this try on, half of the window is certain: at most 10 tries in a minute (I36).
PATIENT_FROM: Final = 4


def reconnect_ms(attempt: int, random: float) -> int:
    """Return milliseconds before try number `attempt` (from 1); `random` is in [0, 1)."""
    window = min(WINDOW_MS_MAX, WINDOW_MS_FIRST * 2 ** max(0, min(attempt, 10) - 2))
    return int(random * window if attempt < PATIENT_FROM else window / 2 + random * window / 2)


def retry_ms(attempt: int, random: float) -> int:
    """Return milliseconds before pushing again after a `retry`."""
    return 100 + int(random * min(WINDOW_MS_MAX, 500 * 2 ** min(attempt, 8)))


def go_away_ms(asked_ms: float, random: float) -> int:
    """Return milliseconds after a `goaway`: what the server asks for, then spread."""
    return max(0, int(asked_ms)) + int(random * WINDOW_MS_FIRST)
