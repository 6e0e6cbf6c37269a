"""How often a function may be called: `rate="20/minute"`, read once at load. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(
    r"([1-9][0-9]{0,5})\s*/\s*(?:([1-9][0-9]{0,3})\s*)?(?:(second|minute|hour|day)s?|([smhd]))",
    re.ASCII,
)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DAYS_MAX: Final = 31


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls at once, and so many within each span of seconds, of each caller."""

    calls: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Return the average."""
        return self.calls / self.seconds

    @classmethod
    def parse(cls, given: object) -> Rate:
        """Return what a text such as "20/minute" or "5/10 minutes" says; raises ValueError."""
        found = _FORM.fullmatch(given.strip()) if isinstance(given, str) else None
        if found is None:
            raise ValueError('rate is a text such as "20/minute", "20/m" or "5/10 minutes"')
        seconds = int(found[2] or 1) * _SECONDS[(found[3] or found[4])[0]]
        if seconds > _DAYS_MAX * _SECONDS["d"]:
            raise ValueError(f"rate is over at most {_DAYS_MAX} days")
        return cls(int(found[1]), float(seconds))
