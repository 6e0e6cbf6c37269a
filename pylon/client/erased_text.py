"""What erasing a person took, and what it left, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def erased_words(done: Mapping[str, Any]) -> list[str]:
    """Return lines about the answer of `admin/users/{user}/erase`."""
    went = ", ".join(
        f"{done[key]} {words}"
        for key, words in (
            ("rows", "rows"), ("records", "records of the log"), ("answers", "remembered answers"),
            ("jobs", "jobs"), ("runs", "workflow runs"), ("mails", "mails"), ("files", "files"),
        )
        if done[key]
    )  # fmt: skip
    lines = [f"{done['email'] or done['user_id']} is erased: {went or 'there was nothing else'}"]
    if done["rows_left"]:
        lines.append(
            f"{done['rows_left']} rows of others name him in texts of their own: look there"
        )
    if done["work_left"]:
        lines.append(f"{done['work_left']} jobs or runs of others name him and have not ended")
    lines.append("backups, branches and exports made before still have him")
    return lines
