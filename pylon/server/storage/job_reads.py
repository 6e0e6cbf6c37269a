"""Jobs as they are shown: one, a page of them, and the figures of each queue.

Arguments of secret jobs (sign-in mails) are not read at all (I71).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.server.storage.search_line import condition_of
from pylon.sqlite import RawConnection

_COLUMNS: Final = (
    "n, id, name, queue, state, CASE WHEN is_secret THEN NULL ELSE args END, principal, user_id,"
    " priority, due_at, job_key, attempt, retries, lease_until, created_at, started_at, ended_at,"
    " error, traceback, result, progress, progress_text, cause, is_secret"
)
#: What a search line names, and the text that it looks at.
_SEARCHED: Final = {
    "queue": "queue", "state": "state", "name": "name", "key": "coalesce(job_key, '')",
    "user": "coalesce(user_id, principal)", "cause": "coalesce(cause, '')",
}  # fmt: skip
_MORE: Final = ("id", "coalesce(error, '')")
#: What the list shows under other names, or words without a name don't look at.
_ONLY: Final = {
    "job": "name", "id": "id", "try": "attempt || '/' || (retries + 1)",
    "by": "coalesce((SELECT a.email FROM _pylon_accounts AS a WHERE a.id = user_id), user_id,"
          " principal)",
    "what": "CASE WHEN state = 'running' THEN coalesce(progress_text, 'key ' || job_key, '')"
            " WHEN error IS NOT NULL AND state <> 'completed' THEN error"
            " ELSE coalesce('key ' || job_key, '') END",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredJob:
    """One job as stored. Times are Unix ms; args and result are JSON."""

    n: int
    id: str
    name: str
    queue: str
    state: str
    args: str | None
    principal: str
    user_id: str | None
    priority: int
    due_at: int
    key: str | None
    attempt: int
    retries: int
    lease_until: int | None
    created_at: int
    started_at: int | None
    ended_at: int | None
    error: str | None
    traceback: str | None
    result: str | None
    progress: float | None
    progress_text: str | None
    cause: str | None
    is_secret: int

    def to_json(self, *, is_whole: bool = False) -> dict[str, Any]:
        """Return it as plain values; traceback, result and arguments where it is asked whole."""
        shown: dict[str, Any] = {
            "id": self.id, "name": self.name, "queue": self.queue, "state": self.state,
            "user": self.user_id if self.principal == "user" else self.principal,
            "priority": self.priority, "due_at": iso_ms(self.due_at), "key": self.key,
            "attempt": self.attempt, "attempts": self.retries + 1,
            "created_at": iso_ms(self.created_at), "started_at": _time(self.started_at),
            "ended_at": _time(self.ended_at), "error": self.error, "progress": self.progress,
            "progress_text": self.progress_text, "cause": self.cause,
        }  # fmt: skip
        if is_whole:
            shown["args"] = None if self.args is None else jsonvalue.decode_trusted(self.args)
            shown["result"] = None if self.result is None else jsonvalue.decode_trusted(self.result)
            shown["traceback"] = self.traceback
            shown["lease_until"] = _time(self.lease_until)
        return shown


def _time(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else iso_ms(unix_ms)


def read_job(connection: RawConnection, job_id: str) -> StoredJob | None:
    """Return one job."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM _pylon_jobs WHERE id = ?", (job_id,)
    ).fetchone()
    return None if row is None else StoredJob(*row)


def next_scheduled(connection: RawConnection) -> tuple[int, str] | None:
    """Return when the next scheduled job is due, Unix ms, and its name."""
    row = connection.execute(
        "SELECT due_at, name FROM _pylon_jobs WHERE state = 'scheduled' ORDER BY due_at LIMIT 1"
    ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def list_jobs(
    connection: RawConnection, *, queue: str | None = None, state: str | None = None,
    name: str | None = None, search: str = "", before: int | None = None, limit: int = 100,
) -> list[StoredJob]:  # fmt: skip
    """Return jobs, the newest first.

    Args:
        connection: what is asked.
        queue: of this queue only.
        state: in this state only.
        name: of this function only.
        search: words that must all be in name, id, queue, state, key, user, cause or error;
            `queue:x`, `state:x`, `name:x`, `key:x`, `user:x` and `cause:x` look at the beginning
            of one of those, `job:x`, `id:x`, `try:x`, `by:x` and `what:x` of what the list shows
            there; a `!` before the line turns it round.
        before: the `n` that a page ended with.
        limit: how many.
    """
    condition, words = condition_of(search, _SEARCHED, _MORE, first=6, only=_ONLY)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM _pylon_jobs WHERE (?1 IS NULL OR queue = ?1)"
        " AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR name = ?3)"
        f" AND (?4 IS NULL OR n < ?4) AND {condition} ORDER BY n DESC LIMIT ?5",
        (queue, state, name, before, limit, *words),
    ).fetchall()
    return [StoredJob(*row) for row in rows]


def count_jobs(connection: RawConnection) -> dict[str, dict[str, int]]:
    """Return how many jobs of each state each queue has."""
    found: dict[str, dict[str, int]] = {}
    for queue, state, count in connection.execute(
        "SELECT queue, state, count(*) FROM _pylon_jobs GROUP BY queue, state"
    ).fetchall():
        found.setdefault(queue, {})[state] = count
    return found
