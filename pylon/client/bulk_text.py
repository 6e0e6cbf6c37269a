"""In words: what a change of many rows would do, and what depends on one that is to be undone."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue
from pylon.printable import clean, counted

_TEXT_MAX = 60


def look_lines(entity: str, found: dict[str, Any]) -> list[str]:
    """Return what a look at a change says."""
    lines = [f"{found['rows']:,} {entity}"]
    if found["missing"]:
        names = ", ".join(found["missing_ids"][:3])
        be = "is" if found["missing"] == 1 else "are"
        lines.append(f"{found['missing']:,} {be} not there any more: {names}")
    for one in found["fields"]:
        lines.append(f"{one['name']} = {_short(one['to'])}: {_change(one['changes'])}")
        now = [f"{count:,} × {_cut(text)}" for text, count in one["from"]]
        if one["others"]:
            now.append(f"{one['others']:,} others")
        lines += [f"  now {', '.join(now)}"] if now else []
    lines += [referrer_line(one, many=True) for one in found["referrers"] if one["count"]]
    return [clean(one) for one in lines]


def referrer_line(one: dict[str, Any], *, many: bool = False) -> str:
    """Return what becomes of the rows that refer to what is deleted."""
    count = f"{one['count']:,}{'+' if one['more'] else ''} {one['entity']}"
    them = "them" if many else "it"
    return {
        "cascade": f"{count} that refer to {them} by {one['field']} are deleted with {them}, and"
                   " what refers to those as their rules say.",
        "set_null": f"{count} lose their {one['field']}.",
        "restrict": f"{count} refer to {them} by {one['field']}: that will be refused.",
    }[one["on_delete"]]  # fmt: skip


def dependent_lines(found: dict[str, Any]) -> list[str]:
    """Return what depends on a change, with who did what since then."""
    lines = []
    for one in found["depends"]:
        lines.append(one["words"])
        lines += [
            f"  {each['seq']} {each['at']} {each['kind']} by {each['user'] or 'the system'}"
            f" ({each['cause']})"
            for each in one["by"]
        ]
    if found["more"]:
        lines.append(f"and {found['more']:,} more")
    return [clean(one) for one in lines]


def _change(count: int) -> str:
    return f"{counted(count, 'row')} {'changes' if count == 1 else 'change'}"


def _short(value: Any) -> str:
    return _cut(jsonvalue.encode_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
