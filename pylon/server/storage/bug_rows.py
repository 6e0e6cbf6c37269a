"""What a report of a problem takes out of a database beside its log, and puts into one.

What does not live here: what of it may be shown on (`server.bugs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pylon import jsonvalue
from pylon.server.storage.accounts import NO_EMAIL, Account, account_by_id
from pylon.server.storage.change_log import read_floor, read_head
from pylon.server.storage.lineage import meta, set_meta
from pylon.server.storage.transaction import Transaction
from pylon.sqlite import RawConnection

_OURS: Final = "pylon."


@dataclass(frozen=True, slots=True)
class FailedWork:
    """A job or a run that ended badly, or that was tried in vain."""

    id: str
    name: str
    state: str
    #: None where they are nobody's business: secret ones, and those of jobs of our own.
    args: str | None
    user_id: str | None
    attempt: int
    at_ms: int
    error: str | None
    traceback: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An operation that was refused: its error as it was answered."""

    at_ms: int
    principal: str
    error: dict[str, Any]


def failed_jobs(raw: RawConnection, at_most: int) -> list[FailedWork]:
    """Return the jobs that have an error, the newest first."""
    found = raw.execute(
        "SELECT id, name, state, args, user_id, attempt,"
        " coalesce(ended_at, started_at, created_at), error, traceback, cause, is_secret"
        " FROM _pylon_jobs WHERE state = 'dead' OR"
        " (state IN ('scheduled', 'available') AND error IS NOT NULL) ORDER BY n DESC LIMIT ?",
        (at_most,),
    ).fetchall()
    return [_work(one[:-1], is_secret=bool(one[-1])) for one in found]


def failed_runs(raw: RawConnection, at_most: int) -> list[FailedWork]:
    """Return the runs of workflows that failed or diverged, the newest first."""
    found = raw.execute(
        "SELECT id, name, state, args, user_id, lost, coalesce(ended_at, created_at), error,"
        " traceback, cause FROM _pylon_workflows WHERE state IN ('failed', 'diverged')"
        " ORDER BY n DESC LIMIT ?",
        (at_most,),
    ).fetchall()
    return [_work(one, is_secret=False) for one in found]


def _work(row: tuple[Any, ...], *, is_secret: bool) -> FailedWork:
    made = FailedWork(*row)
    return replace(made, args=None) if is_secret or made.name.startswith(_OURS) else made


def refusals(raw: RawConnection, at_most: int) -> list[Refusal]:
    """Return the operations that were refused, the newest first."""
    found = raw.execute(
        "SELECT at, principal, outcome FROM _pylon_ops WHERE substr(outcome, 1, 9) = '{\"error\":'"
        " ORDER BY at DESC LIMIT ?",
        (at_most,),
    ).fetchall()
    return [
        Refusal(at, principal, jsonvalue.decode_trusted(text)["error"])
        for at, principal, text in found
    ]


def accounts_of(raw: RawConnection, ids: Iterable[str]) -> list[Account]:
    """Return the accounts of these users that are there."""

    def rows(sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return raw.execute(sql, params).fetchall()

    found = (account_by_id(rows, one) for one in sorted(set(ids)))
    return [one for one in found if one is not None]


def served_policies(raw: RawConnection) -> Any:
    """Return the texts of the policies that production served last; None where it never ran."""
    text = meta(raw, "policies")
    return None if text is None else jsonvalue.decode_trusted(text)


def bounds(raw: RawConnection) -> tuple[int, int]:
    """Return the oldest and the newest change that the log has; (1, 0) for an empty one."""
    head, _ = read_head(raw)
    return read_floor(raw) + 1, head


def first_since(raw: RawConnection, at_ms: int) -> int | None:
    """Return the first change of a time or after it; None where there is none."""
    found = raw.execute(
        "SELECT seq FROM _pylon_log WHERE at >= ? ORDER BY seq LIMIT 1", (at_ms,)
    ).fetchone()
    return None if found is None else int(found[0])


def has_changes(raw: RawConnection) -> bool:
    """Tell whether the log has a change of a row."""
    return raw.execute("SELECT 1 FROM _pylon_log WHERE row_id <> '' LIMIT 1").fetchone() is not None


def newest_changes(raw: RawConnection, wanted: int, at_most: int) -> tuple[int, int] | None:
    """Return the first and the last of the newest changes of rows, in whole transactions.

    So many of them as are `wanted`, or a few more, but never more than `at_most`. None where there
    are none, or where the newest transaction alone has more.
    """
    found = raw.execute(
        "SELECT min(seq), max(seq), count(*) FROM (SELECT seq, tx FROM _pylon_log"
        " WHERE row_id <> '' ORDER BY seq DESC LIMIT ?) GROUP BY tx ORDER BY tx DESC",
        (at_most + 1,),
    ).fetchall()
    low, total = None, 0
    for first, _, count in found:
        total += int(count)  # of the oldest one some may be missing: then there are too many
        if total > at_most:
            break
        low = int(first)
        if total >= wanted:
            break
    return None if low is None else (low, int(found[0][1]))


def plant_account(transaction: Transaction, account: Account) -> None:
    """Store an account of a report: nobody can sign in by it but through the owner's tools."""
    transaction.execute(
        "INSERT INTO _pylon_accounts (id, email, roles, disabled, created_at, proven, guest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            account.id, account.email or f"{NO_EMAIL}{account.id}",
            jsonvalue.encode_text(sorted(account.roles)), int(account.disabled),
            transaction.now_ms, int(account.is_proven), int(account.is_guest),
        ),
    )  # fmt: skip


def plant_dead_job(transaction: Transaction, job: FailedWork) -> None:
    """Store a job of a report as dead: it runs when somebody has it tried again."""
    transaction.execute(
        "INSERT INTO _pylon_jobs (id, name, queue, state, args, principal, user_id, due_at,"
        " attempt, retries, created_at, ended_at, error, traceback, cause)"
        " VALUES (?, ?, 'default', 'dead', ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
        (
            job.id, job.name, job.args or "{}", "system" if job.user_id is None else "user",
            job.user_id, job.at_ms, job.attempt, job.at_ms, job.at_ms, job.error, job.traceback,
            job.cause,
        ),
    )  # fmt: skip


def begin_at(raw: RawConnection, head: int) -> None:
    """Have the next change of an empty log be the one after `head`."""
    set_meta(raw, "head_floor", head)
