"""What became of an operation, as every transport answers it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pylon import jsonvalue
from pylon.errors import PylonError, RateLimited


class Status(StrEnum):
    """What became of an operation."""

    APPLIED = "applied"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    RETRY = "retry"


@dataclass(slots=True)
class Outcome:
    """The answer of one operation. `value` is JSON text; `error` is set instead of it."""

    status: Status
    seq: int | None = None
    value: str | None = None
    error: dict[str, Any] | None = None
    http_status: int = 200
    #: What a policy was asked, where it refused; None for what is remembered from before.
    denial: object | None = None
    #: When it may be tried again, where it was too often.
    retry_after_s: float | None = None

    def to_json(self, op_id: str) -> str:
        """Return the result object of a push."""
        head = f'{{"op_id":{jsonvalue.encode_text(op_id)},"status":"{self.status}"'
        seq = "null" if self.seq is None else str(self.seq)
        if self.error is not None:
            return f'{head},"seq":{seq},"error":{jsonvalue.encode_text(self.error)}}}'
        return f'{head},"seq":{seq},"value":{self.value or "null"}}}'


def refused(error: PylonError) -> Outcome:
    """Return the outcome of an operation that was refused."""
    status = Status.RETRY if error.is_transient else Status.REJECTED
    return Outcome(
        status, None, error=error.to_wire(), http_status=error.http_status, denial=error.denial,
        retry_after_s=error.retry_after_s if isinstance(error, RateLimited) else None,
    )  # fmt: skip
