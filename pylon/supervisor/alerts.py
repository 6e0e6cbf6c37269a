"""When somebody is to be told that an app is unwell, and that it is well again.

Pure: facts and the machine's time in, alerts out. Each trouble is told once, then once a day; one
that comes and goes is not told each time, and there are at most so many alerts in an hour. What was
told survives a restart of whoever tells (`to_json`), so that a crash loop is one alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pylon import limits_keeping

_HOUR_MS: Final = 3_600_000
_REMIND_MS: Final = 24 * _HOUR_MS
#: So long it must be well before that is told.
_WELL_MS: Final = 60_000
#: A trouble that comes again so soon is the same one.
_AGAIN_MS: Final = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell."""

    #: restarts, backup, disk, or test.
    kind: str
    #: firing, recovered, or test.
    state: str
    subject: str
    text: str


@dataclass(slots=True)
class _Trouble:
    since_ms: int
    told_ms: int
    #: When it was seen last.
    seen_ms: int
    is_over: bool = False


@dataclass(slots=True)
class AlertBook:
    """What was told of which trouble."""

    app: str
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    #: When the alerts of the last hour went out.
    _sent_ms: list[int] = field(default_factory=list)
    #: Alerts that were not told because there were too many.
    withheld: int = 0

    def step(self, troubles: Mapping[str, str | None], now_ms: int) -> list[Alert]:
        """Return what is to be told now.

        Args:
            troubles: by kind, what is wrong; an empty text: nothing is; None: nobody knows, and
                nothing changes.
            now_ms: Unix ms of the machine.
        """
        alerts: list[Alert] = []
        for kind, what in troubles.items():
            if what is None:
                continue
            found = self._troubled(kind, what, now_ms) if what else self._well(kind, now_ms)
            if found is not None and self._may_send(now_ms):
                alerts.append(found)
        return alerts

    def _troubled(self, kind: str, what: str, now_ms: int) -> Alert | None:
        trouble = self._troubles.get(kind)
        is_new = trouble is None or (trouble.is_over and now_ms - trouble.seen_ms >= _AGAIN_MS)
        if trouble is None or is_new:
            self._troubles[kind] = _Trouble(now_ms, now_ms, now_ms)
            return Alert(kind, "firing", f"{self.app}: {_heading(what)}", what)
        trouble.seen_ms, trouble.is_over = now_ms, False
        # A clock that was set back does not silence it for ever.
        if now_ms - trouble.told_ms < _REMIND_MS and trouble.told_ms <= now_ms:
            return None
        trouble.told_ms = now_ms
        hours = (now_ms - trouble.since_ms) // _HOUR_MS
        return Alert(
            kind, "firing", f"{self.app}: still, {_heading(what)}", f"{what}\n\nFor {hours} hours."
        )

    def _well(self, kind: str, now_ms: int) -> Alert | None:
        trouble = self._troubles.get(kind)
        if trouble is None or trouble.is_over or 0 <= now_ms - trouble.seen_ms < _WELL_MS:
            return None
        trouble.is_over = True
        minutes = max(0, trouble.seen_ms - trouble.since_ms) // 60_000
        text = f"It is well again: {kind}. It had lasted {minutes} minutes."
        return Alert(kind, "recovered", f"{self.app}: {kind} is well again", text)

    def _may_send(self, now_ms: int) -> bool:
        self._sent_ms = [one for one in self._sent_ms if 0 <= now_ms - one < _HOUR_MS]
        if len(self._sent_ms) >= limits_keeping.ALERTS_PER_HOUR_MAX:
            self.withheld += 1
            return False
        self._sent_ms.append(now_ms)
        return True

    def to_json(self) -> dict[str, Any]:
        """Return what it knows, for the next one who tells."""
        return {
            "sent": list(self._sent_ms),
            "troubles": {
                kind: [one.since_ms, one.told_ms, one.seen_ms, one.is_over]
                for kind, one in self._troubles.items()
            },
        }

    def load(self, stored: Mapping[str, Any]) -> None:
        """Take what another one knew; raises KeyError, TypeError, ValueError for anything else."""
        self._sent_ms = [int(one) for one in stored["sent"]]
        self._troubles = {
            str(kind): _Trouble(int(since), int(told), int(seen), bool(is_over))
            for kind, (since, told, seen, is_over) in stored["troubles"].items()
        }


def troubles_of(
    *, crashes: int, crashes_told: int, failed: str, backup: Mapping[str, Any] | None,
    disk_free: int | None, disk_total: int, disk_percent: int,
) -> dict[str, str | None]:  # fmt: skip
    """Return what is wrong, by kind, as `AlertBook.step` takes it.

    Args:
        crashes: restarts of the last ten minutes.
        crashes_told: so many are worth telling.
        failed: why the supervisor gave up; empty while it goes on.
        backup: what the status says of backups; None where the runtime does not answer.
        disk_free: bytes; None where nobody knows.
        disk_total: bytes.
        disk_percent: less than this share free is worth telling.
    """
    restarts = ""
    if failed:
        restarts = f"The app has failed and is not started any more: {failed}"
    elif crashes >= crashes_told:
        often = "once" if crashes == 1 else f"{crashes} times"
        restarts = f"The app was restarted {often} in ten minutes."
    disk = None if disk_free is None else _disk(disk_free, disk_total, disk_percent)
    return {
        "restarts": restarts, "disk": disk,
        "backup": None if backup is None else (
            f"The last backup failed: {backup.get('why') or 'see pylon backups'}"
            if backup.get("last_state") == "failed" else ""
        ),
    }  # fmt: skip


def _disk(free: int, total: int, percent: int) -> str:
    share = 100 * free / total if total else 100.0
    if share >= percent:
        return ""
    return f"The disk is filling: {free // 1_048_576} MiB are free, {share:.1f} %."


def _heading(what: str) -> str:
    """Return the first sentence, in lower case, for a subject."""
    first = what.partition("\n")[0].partition(": ")[0].rstrip(".")
    return first[:1].lower() + first[1:]
