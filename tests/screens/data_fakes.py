"""Tables as the runtime would page them, for screens of rows."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from pylon.client.admin import AdminError

Row = dict[str, Any]
_FILTER = re.compile(r"(\w+) == '([^']*)'\Z")
_LISTED = re.compile(r"id in \[(.*)\]\Z")


def data_field(name: str, kind: str = "str", **changed: Any) -> dict[str, Any]:
    """Return a field as the runtime describes it."""
    return {
        "name": name, "kind": kind, "nullable": False, "private": False, "guarded": False,
        "ref": None, "on_delete": "restrict", "immutable": False, "unique": False,
        "required": False, "default": None, "choices": [], "doc": None, "schema": {}, **changed,
    }  # fmt: skip


def task(n: int, **changed: Any) -> Row:
    """Return a row of the tasks."""
    return {
        "id": f"t{n:07}", "title": f"task {n}", "rank": n % 7, "done": bool(n % 2),
        "ownerId": "u-ada", "note": None, "secret": "hush-canary", "_seq": n + 1, **changed,
    }  # fmt: skip


TASK = {
    "name": "Task", "doc": None, "sync": True,
    "fields": [
        data_field("title", required=True), data_field("rank", "int", default="literal"),
        data_field("done", "bool", default="literal"), data_field("ownerId", "ref", ref="Owner"),
        data_field("note", "text", nullable=True), data_field("secret", private=True),
    ],
}  # fmt: skip
OWNER = {"name": "Owner", "doc": None, "sync": True, "fields": [data_field("name")]}
ADA = {"id": "u-ada", "name": "Ada", "_seq": 1}


class FakeTable:
    """One entity's rows: pages by key, filters of a comparison or of ids, others are mistakes."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.asked: list[dict[str, Any]] = []

    def __call__(self, given: dict[str, Any]) -> dict[str, Any]:
        """Answer a request for a page, or for a count."""
        self.asked.append(given)
        rows = self._ordered(self._filtered(given.get("filter")), given.get("order"))
        if given.get("count"):
            return {"count": len(rows)}
        limit, at = given["limit"], {row["id"]: place for place, row in enumerate(rows)}
        if given.get("end") or given.get("before"):
            end = at[given["before"]] if given.get("before") else len(rows)
            first, last, more = max(0, end - limit), end, end > limit
        else:
            first = at[given["after"]] + 1 if given.get("after") else 0
            first = at[given["at"]] if given.get("at") else first
            last, more = first + limit, first + limit < len(rows)
        page = rows[first:last]
        keys = [[n, one["id"]] for n, one in enumerate(page) if n % 50 == 0 or n == len(page) - 1]
        return {"entity": "?", "rows": page, "keys": keys, "more": more}

    def _filtered(self, text: str | None) -> list[Row]:
        if not text:
            return list(self.rows)
        if listed := _LISTED.match(text):
            wanted = re.findall("'([^']*)'", listed[1])
            return [one for one in self.rows if one["id"] in wanted]
        found = _FILTER.match(text)
        if found is None or found[1] not in self.rows[0]:
            message = f"filter: Task has no field {text.split()[0]}\n    {text}\n    ^"
            at = len(text) - len(text.split()[-1])
            raise AdminError(
                message,
                answer={"code": "INVALID_ARGUMENT", "hint": "did you mean x?",
                        "details": {"at": at}},
            )  # fmt: skip
        return [one for one in self.rows if str(one[found[1]]) == found[2]]

    @staticmethod
    def _ordered(rows: list[Row], order: str | None) -> list[Row]:
        name = (order or "id").removeprefix("-")
        return sorted(rows, key=lambda one: one[name], reverse=(order or "").startswith("-"))


def whole(row: Row, *referrers: tuple[str, str, int, str]) -> dict[str, Any]:
    """Return a row with who refers to it, as (entity, field, count, on_delete)."""
    told = [
        {"entity": entity, "field": field, "count": count, "on_delete": rule, "more": False}
        for entity, field, count, rule in referrers
    ]
    return {"entity": "?", "row": row, "referrers": told}


def answers(tasks: FakeTable) -> dict[str, Any]:
    """Return what a runtime with tasks of one owner answers."""
    entities = {
        "entities": [{**deepcopy(TASK), "rows": len(tasks.rows), "bytes": 195_000_000},
                     {**deepcopy(OWNER), "rows": 1, "bytes": 8_192}]
    }  # fmt: skip
    found = {
        "admin/data": entities, "admin/data/Task": tasks, "admin/data/Owner": FakeTable([ADA]),
        "admin/data/Owner/u-ada": whole(ADA, ("Task", "ownerId", len(tasks.rows), "cascade")),
    }  # fmt: skip
    for one in tasks.rows[:3]:
        found[f"admin/data/Task/{one['id']}"] = whole(one)
    return found
