"""Runs of workflows as they are shown: one with its journal, a page of them, and figures."""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.server.storage import journal
from pylon.server.storage.search_line import condition_of
from pylon.server.storage.workflow_records import StepKind, StepRecord, StoredRun
from pylon.server.storage.workflows import COLUMNS
from pylon.sqlite import RawConnection

#: What a search line names, and the text that it looks at.
_SEARCHED: Final = {
    "name": "name", "state": "state", "key": "coalesce(run_key, '')",
    "user": "coalesce(user_id, principal)", "cause": "coalesce(cause, '')",
}  # fmt: skip
#: So many of the things that a run waits for stand in a list.
_WAITS_LISTED: Final = 4
_MORE: Final = (
    "id", "coalesce(error, '')",
    "coalesce((SELECT group_concat(j.kind || ' ' || j.name || ' ' || coalesce(j.child, ''))"
    " FROM _pylon_journal AS j WHERE j.run = n AND j.seq IS NULL"
    " AND _pylon_workflows.ended_at IS NULL), '')",
)  # fmt: skip
#: What the list shows under other names, or words without a name don't look at.
_ONLY: Final = {
    "workflow": "name", "id": "id", "steps": "seq",
    "by": "coalesce((SELECT a.email FROM _pylon_accounts AS a WHERE a.id = user_id), user_id,"
          " principal)",
    "waitsfor": "CASE WHEN error IS NOT NULL"
                " THEN json_extract(error, '$.code') || ': ' || json_extract(error, '$.message')"
                " WHEN ended_at IS NOT NULL THEN '' ELSE coalesce((SELECT"
                " CASE j.kind WHEN 'wait' THEN 'signal' ELSE j.kind END || ' ' || j.name"
                " FROM _pylon_journal AS j WHERE j.run = n AND j.seq IS NULL"
                " ORDER BY j.due_at IS NULL, j.due_at, j.path LIMIT 1), '') END",
}  # fmt: skip


def list_runs(
    connection: RawConnection, *, name: str | None = None, state: str | None = None,
    search: str = "", before: int | None = None, limit: int = 100,
) -> list[StoredRun]:  # fmt: skip
    """Return runs, the newest first.

    Args:
        connection: what is asked.
        name: of this workflow only.
        state: in this state only.
        search: words that must all be in name, id, state, key, user, cause, error or what it waits
            for; `name:x`, `state:x`, `key:x`, `user:x` and `cause:x` look at the beginning of one
            of those, `workflow:x`, `id:x`, `steps:x`, `by:x` and `waits-for:x` of what the list
            shows there; a `!` before the line turns it round.
        before: the `n` that a page ended with.
        limit: how many.
    """
    condition, words = condition_of(search, _SEARCHED, _MORE, first=5, only=_ONLY)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM _pylon_workflows WHERE (?1 IS NULL OR name = ?1)"
        f" AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR n < ?3) AND {condition}"
        " ORDER BY n DESC LIMIT ?4",
        (name, state, before, limit, *words),
    ).fetchall()
    return [StoredRun(*row) for row in rows]


def runs_by_id(connection: RawConnection, ids: list[str]) -> list[StoredRun]:
    """Return these runs, the newest first."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM _pylon_workflows WHERE id IN (SELECT value FROM json_each(?))"
        " ORDER BY n DESC",
        (jsonvalue.encode_text(ids),),
    ).fetchall()
    return [StoredRun(*row) for row in rows]


def count_runs(connection: RawConnection) -> dict[str, dict[str, int]]:
    """Return how many runs of each state each workflow has."""
    found: dict[str, dict[str, int]] = {}
    for name, state, count in connection.execute(
        "SELECT name, state, count(*) FROM _pylon_workflows GROUP BY name, state"
    ).fetchall():
        found.setdefault(name, {})[state] = count
    return found


def waits_of(connection: RawConnection, n: int, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return what a run waits for: kind, name, tries, since and until when; the next one first."""
    rows = connection.execute(
        "SELECT path, kind, name, begun_at, due_at, child, attempt FROM _pylon_journal"
        " WHERE run = ? AND seq IS NULL ORDER BY due_at IS NULL, due_at, path LIMIT ?",
        (n, limit),
    ).fetchall()
    return [
        {
            "step": path, "kind": kind, "name": step_name(kind, name), "since": iso_ms(begun_at),
            "until": _time(due_at), "run": child, "attempt": attempt,
        }
        for path, kind, name, begun_at, due_at, child, attempt in rows
    ]  # fmt: skip


def run_json(run: StoredRun) -> dict[str, Any]:
    """Return a run as plain values, without its journal."""
    error = None
    if run.error is not None:
        found = jsonvalue.decode_trusted(run.error)
        error = f"{found['code']}: {found['message']}"
    return {
        "id": run.id, "name": run.name, "state": run.state, "key": run.key,
        "user": run.user_id if run.principal == "user" else run.principal,
        "created_at": iso_ms(run.created_at), "ended_at": _time(run.ended_at),
        "wake_at": _time(run.wake_at), "steps": run.seq, "error": error, "cause": run.cause,
        "origin": run.origin,
    }  # fmt: skip


def listed_json(connection: RawConnection, run: StoredRun) -> dict[str, Any]:
    """Return a run as a list has it: with the first things that it waits for."""
    waits = [] if run.ended_at is not None else waits_of(connection, run.n, limit=_WAITS_LISTED)
    return {**run_json(run), "waits": waits}


def whole_json(connection: RawConnection, run: StoredRun) -> dict[str, Any]:
    """Return a run with arguments, result, journal, and what it waits for."""
    parent = None
    if run.parent is not None:
        row = connection.execute(
            "SELECT id FROM _pylon_workflows WHERE n = ?", (run.parent,)
        ).fetchone()
        parent = None if row is None else row[0]
    return {
        **run_json(run),
        "args": jsonvalue.decode_trusted(run.args), "result": _value(run.result),
        "details": _value(run.error), "traceback": run.traceback, "parent": parent,
        "bytes": run.bytes, "lost": run.lost,
        "waits": waits_of(connection, run.n) if run.ended_at is None else [],
        "signals": [
            {"event": event, "data": jsonvalue.decode_trusted(data), "at": iso_ms(at)}
            for event, data, at in journal.waiting_signals(connection, run.n)
        ],
        "journal": [step_json(one) for one in journal.read(connection, run.n)],
    }  # fmt: skip


def step_json(one: StepRecord) -> dict[str, Any]:
    """Return a line of a journal as plain values."""
    return {
        "step": one.path, "seq": one.seq, "kind": one.kind, "name": step_name(one.kind, one.name),
        "fn": one.fn, "args": _value(one.args), "attempt": one.attempt, "failures": one.failures,
        "begun_at": iso_ms(one.begun_at), "ended_at": _time(one.ended_at),
        "due_at": _time(one.due_at), "result": _value(one.result), "error": _value(one.error),
        "place": one.place, "run": one.child,
    }  # fmt: skip


def step_name(kind: str, name: str) -> str:
    """Return what a line of a journal is called; a sleep has no name of its own."""
    return "sleep" if kind == StepKind.SLEEP else name


def _value(text: str | None) -> Any:
    return None if text is None else jsonvalue.decode_trusted(text)


def _time(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else iso_ms(unix_ms)
