"""The owner's changes of many rows, from outside: in parts of one group, with their undo.

Up to `BULK_ROWS_MAX` rows are one transaction. More go in parts, each a transaction, so that
others' writes go on between two; the first part that is refused ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode

from pylon import limits_data
from pylon.client.admin import AdminClient, AdminError

#: A part whose answer did not come is sent again, so often and after such a pause: it is done once.
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.5
_UNANSWERED: Final = ("ADMIN_FAILED", "UNAVAILABLE")
#: Takes how many rows are done.
Told = Callable[[int], None]
_PAGE_ROWS: Final = 1_000


@dataclass(slots=True)
class Done:
    """What came of it."""

    rows: int = 0
    #: The number of the last change of each part.
    seqs: list[int] = field(default_factory=list)
    #: Why it ended early; None where all was done.
    error: AdminError | None = None
    #: Of an undo: what was changed, and what was left as something depends on it.
    changes: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Return the rows that are why it ended: {"id", "code", "message"}."""
        return [] if self.error is None else list(self.error.details.get("rows", []))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        error = self.error
        return {
            "rows": self.rows, "seq": self.seqs[-1] if self.seqs else None, "parts": self.seqs,
            "error": None if error is None else {"code": error.code, "message": error.message},
            "failed": self.failed,
        }  # fmt: skip


def parts_of(ids: Sequence[str]) -> list[Sequence[str]]:
    """Return the ids of each transaction."""
    if len(ids) <= limits_data.BULK_ROWS_MAX:
        return [ids]
    size = limits_data.BULK_PART_ROWS
    return [ids[at : at + size] for at in range(0, len(ids), size)]


async def _sent(admin: AdminClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send one part of a group until it is answered; raises AdminError."""
    for _ in range(_TRIES - 1):
        try:
            return await admin.post(path, body)
        except AdminError as error:
            if error.code not in _UNANSWERED:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
    return await admin.post(path, body)


async def change_rows(
    admin: AdminClient, entity: str, ids: Sequence[str], what: Mapping[str, Any], group: str,
    told: Told,
) -> Done:  # fmt: skip
    """Change rows, or delete them; returns what was done, also where that is not all.

    Args:
        admin: the runtime.
        entity: whose rows they are.
        ids: the rows.
        what: {"values": …} or {"delete": True}.
        group: names the change; the same group again does nothing twice.
        told: takes how far it is.
    """
    done = Done()
    path = f"admin/data-bulk/{admin.quoted(entity)}"
    for part, some in enumerate(parts_of(ids)):
        body = {"ids": list(some), **what, "group": group, "part": part}
        try:
            made = await _sent(admin, path, body)
        except AdminError as error:
            done.error = error
            return done
        done.rows += int(made["rows"])
        if made["seq"] is not None:  # None: all of the part went with rows of an earlier one
            done.seqs.append(int(made["seq"]))
        told(done.rows)
    return done


async def look_at_change(
    admin: AdminClient, entity: str, ids: Sequence[str], what: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what `change_rows` would do: counts over all of the rows; raises AdminError."""
    path = f"admin/data-bulk/{admin.quoted(entity)}"
    whole: dict[str, Any] | None = None
    size = limits_data.BULK_ROWS_MAX
    for at in range(0, len(ids), size):
        body = {"ids": list(ids[at : at + size]), **what, "look": True}
        found = await admin.post(path, body)
        whole = found if whole is None else _together(whole, found)
    assert whole is not None
    return whole


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return two looks at rows of one entity as one."""
    fields = [
        {**mine, "changes": mine["changes"] + its["changes"],
         **_values_together(mine, its)}
        for mine, its in zip(one["fields"], other["fields"], strict=True)
    ]  # fmt: skip
    referrers = [
        {**mine, "count": mine["count"] + its["count"], "more": mine["more"] or its["more"]}
        for mine, its in zip(one["referrers"], other["referrers"], strict=True)
    ]
    return {
        "rows": one["rows"] + other["rows"], "missing": one["missing"] + other["missing"],
        "missing_ids": one["missing_ids"] or other["missing_ids"], "fields": fields,
        "referrers": referrers,
    }  # fmt: skip


def _values_together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for text, count in (*one["from"], *other["from"]):
        counts[text] = counts.get(text, 0) + count
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    shown, rest = ordered[: limits_data.BULK_VALUES_SHOWN], ordered[limits_data.BULK_VALUES_SHOWN :]
    others = one["others"] + other["others"] + sum(count for _, count in rest)
    return {"from": [list(each) for each in shown], "others": others}


async def look_at_undo(admin: AdminClient, seq: int) -> dict[str, Any]:
    """Return {"parts", "changes", "depends", "more"} of a change; raises AdminError."""
    return await admin.post("admin/data-undo", {"seq": seq, "look": True})


async def undo(
    admin: AdminClient, parts: Sequence[int], anyway: str, group: str, told: Told
) -> Done:  # fmt: skip
    """Take back the transactions of a group, the newest first; `anyway`: refuse, skip or force."""
    done = Done()
    for part, seq in enumerate(parts):
        body = {"seq": seq, "anyway": anyway, "group": group, "part": part}
        try:
            undone = await _sent(admin, "admin/data-undo", body)
        except AdminError as error:
            done.error = error
            return done
        done.rows += len(undone["changes"])
        done.changes += undone["changes"]
        done.left += undone["left"]
        if undone["seq"] is not None:
            done.seqs.append(int(undone["seq"]))
        told(done.rows)
    return done


async def ids_of(
    admin: AdminClient, entity: str, filter: str | None, viewer: str | None = None
) -> AsyncIterator[str]:
    """Yield the ids of all rows that pass a filter; raises AdminError."""
    path, after = f"admin/data/{admin.quoted(entity)}", None
    while True:
        page = await admin.get(
            path, **{"filter": filter, "limit": _PAGE_ROWS, "after": after, "as": viewer}
        )
        for row in page["rows"]:
            yield str(row["id"])
        if not page["more"] or not page["keys"]:
            return
        after = page["keys"][-1][1]


def export_path(entity: str, question: Mapping[str, Any], form: str) -> str:
    """Return the path of an export: `question` has filter, order, fields, as and as_of."""
    # Of no field is something else than of every one, private ones too.
    given = {
        name: value for name, value in question.items()
        if value is not None and (value != "" or name == "fields")
    }  # fmt: skip
    return f"admin/data-export/{AdminClient.quoted(entity)}?{urlencode({**given, 'format': form})}"


class CountedRows:
    """A file that counts the rows of CSV or JSON as they are written into it."""

    def __init__(self, target: BinaryIO, form: str, told: Told) -> None:
        self._target = target
        self._told = told
        self._is_quoted = False
        self._lines = 0
        self._is_csv = form == "csv"
        #: Lines that are no rows: the first one of CSV names the columns, an array has its marks.
        self._heads = {"csv": 1, "json": 2}.get(form, 0)

    @property
    def rows(self) -> int:
        """Return how many whole rows were written."""
        return max(0, self._lines - self._heads)

    def write(self, data: bytes) -> int:
        """Write, and count: an end of a line inside of quotation marks ends no row of CSV."""
        for place, piece in enumerate(data.split(b'"') if self._is_csv else (data,)):
            if place:
                self._is_quoted = not self._is_quoted
            if not self._is_quoted:
                self._lines += piece.count(b"\n")
        self._told(self.rows)
        return self._target.write(data)
