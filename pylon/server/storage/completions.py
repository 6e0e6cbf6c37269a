"""Completed jobs: those of one batch are told to the job table by one statement.

A batch of jobs is mostly jobs that complete, and a statement for each costs more than what it does.
So a batch takes an attempt at its word that the job is still its own, and looks at that when it
stores all of them: where one was not, the batch is run again, and each is looked at on its own.
Whoever asks the table about running jobs has it told first (`settle`): nobody sees a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylon import jsonvalue
from pylon.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from pylon.server.storage.jobs import ClaimedJob


def complete(
    transaction: Transaction, job: ClaimedJob, result: str,
    progress: tuple[float, str | None] | None = None,
) -> bool:  # fmt: skip
    """Complete a running job; False where its claim is not this one any more.

    True as well where that is looked at later, with the others of the batch.
    """
    text = jsonvalue.encode_text((job.n, job.token, result, *(progress or (None, None))))
    if not transaction.is_deferring:
        return _complete(transaction, [text]) == 1
    transaction.completed.append(text)
    return True


def settle(transaction: Transaction) -> None:
    """Have the table tell of the jobs that this batch completed before the operation under way."""
    if transaction.unsettled:
        completed = transaction.take_unsettled()
        transaction.is_spoiled |= _complete(transaction, completed) != len(completed)


def _complete(transaction: Transaction, completed: list[str]) -> int:
    """Complete running jobs; returns how many were as they were claimed."""
    return transaction.execute(
        "UPDATE _pylon_jobs SET state = 'completed', token = token + 1, lease_until = NULL,"
        " ended_at = ?, result = json_extract(value, '$[2]'), error = NULL, traceback = NULL,"
        " args = CASE WHEN is_secret THEN '{}' ELSE args END,"
        " progress = coalesce(json_extract(value, '$[3]'), progress),"
        " progress_text = coalesce(json_extract(value, '$[4]'), progress_text)"
        " FROM json_each(?) WHERE n = json_extract(value, '$[0]') AND state = 'running'"
        " AND token = json_extract(value, '$[1]')",
        (transaction.now_ms, f"[{','.join(completed)}]"),
    )
