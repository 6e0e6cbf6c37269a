"""What a doctor finds: what is wrong, where, why it matters, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"
LEVELS: Final = (ERROR, WARNING, NOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that deserves a look."""

    #: Names the kind of finding, and never changes.
    kind: str
    #: error: it does not work, or data is at risk; warning: it will bite; note: good to know.
    level: str
    what: str
    where: str
    why: str
    fix: str
    #: Mends it, and changes nothing that anybody could miss; None where a person has to.
    mend: Callable[[], None] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "kind": self.kind, "level": self.level, "what": self.what, "where": self.where,
            "why": self.why, "fix": self.fix, "can_fix": self.mend is not None,
        }  # fmt: skip


def sorted_by_level(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the worst first."""
    return sorted(findings, key=lambda one: (LEVELS.index(one.level), one.kind, one.where))
