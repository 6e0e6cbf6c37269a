"""Policies as people read them: the short sign of a flag, and the details of a row."""

from __future__ import annotations

from typing import Any

from pylon.policy.coverage_words import coverage_words, taken_of
from pylon.printable import clean

#: A few words for each flag, where there is little room; the details have all of it.
_SHORT = {
    "open to the world": "open",
    "open to the world in part": "open in part",
    "open to every signed-in caller": "signed-in",
    "never true": "never",
    "always true": "always",
    "unused role": "unused role",
    "missing index": "no index",
    "wider on update than on insert": "wider",
    "differs between update and delete": "differs",
    "uses now": "uses now",
    "closed": "closed",
}


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the pane: what the last reload changed, then the matrix."""
    rows: list[dict[str, Any]] = []
    change = found.get("change")
    if change is not None:
        rows.append({
            "entity": "Δ reload", "access": "", "in_words": change["line"], "flags": [],
            "not_decided": [], "change": change,
        })  # fmt: skip
    rows += found.get("rows", [])
    unnamed = found.get("roles_without_policy")
    if unnamed:
        rows.append({
            "entity": "roles", "access": "", "policy": None,
            "in_words": f"{', '.join(unnamed)}: accounts have them, no policy names them",
            "flags": [{"name": "unused role", "detail": "", "at": None, "is_note": False}],
            "not_decided": [],
        })  # fmt: skip
    return rows


def sign_of(row: dict[str, Any]) -> tuple[str, str]:
    """Return the flags of a row in a few words with their sign, and the style."""
    if row.get("change") is not None:
        return f"Δ {row['change']['at'][11:16]}", "accent"
    flags = sorted(row["flags"], key=lambda one: one["is_note"])
    more = f" +{len(flags) - 1}" if len(flags) > 1 else ""
    if flags:
        first = flags[0]
        mark, style = ("·", "quiet") if first["is_note"] else ("!", "warn")
        return f"{mark} {_SHORT.get(first['name'], first['name'])}{more}", style
    if row["not_decided"]:
        return "? undecided", "quiet"
    return "✓", "good"


def is_bad_policy(row: dict[str, Any]) -> bool:
    """Tell whether a policy has a flag that is more than a note."""
    return row.get("change") is None and any(not one["is_note"] for one in row["flags"])


def title_of(row: dict[str, Any]) -> str:
    """Return the name of a row, such as `Note.read`."""
    return f"{row['entity']} {row['access']}".strip()


def details_of(row: dict[str, Any]) -> str:
    """Return all about a row."""
    if row.get("change") is not None:
        return change_details(row["change"])
    lines = [row["in_words"], ""]
    if row.get("policy") is not None:
        if row.get("file"):
            lines += [f"{row['file']}:{row['line']}"]
        lines += [*text_lines(row["policy"], row["flags"]), ""]
    for one in row["flags"]:
        detail = f": {one['detail']}" if one["detail"] else ""
        lines.append(f"{'·' if one['is_note'] else '!'} {one['name']}{detail}")
    if row["not_decided"]:
        lines.append(f"? not decided: {', '.join(row['not_decided'])}")
    if row.get("policy") is not None and "coverage" in row:
        lines += ["", *coverage_words(row["coverage"])]
    return "\n".join(lines).rstrip()


def covered(row: dict[str, Any]) -> tuple[str, str]:
    """Return how many outcomes of a row's policy were ever taken, and the style."""
    counts = row.get("coverage")
    if counts is None:
        return "-", "quiet"
    taken, of = taken_of(counts)
    return f"{taken} of {of}", "plain" if taken == of else "warn"


def text_lines(text: str, flags: list[dict[str, Any]]) -> list[str]:
    """Return a policy's text with numbered lines, and a caret below what a flag is about.

    Lines are numbered as they stand in the text; empty ones around it and common indentation go.
    """
    indent = min(
        (len(one) - len(one.lstrip()) for one in text.split("\n") if one.strip()), default=0
    )
    lines = []
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            lines.append(f"  {number:>3} │ {clean(line[indent:].expandtabs(1))}")
        for one in flags:
            at = one["at"]
            if at is not None and start <= at <= start + len(line):
                caret = " " * (at - start - indent)
                lines.append(f"      │ {caret}^ {one['detail'] or one['name']}")
        start += len(line) + 1
    return lines


def change_details(change: dict[str, Any]) -> str:
    """Return what a reload changed for whom, policy by policy."""
    lines = [f"generation {change['generation']}, {change['at'][11:19]} UTC"]
    for one in change["changes"]:
        lines += ["", f"{one['subject']} {one['access']}",
                  f"  before: {one['before']}", f"  now:    {one['now']}"]  # fmt: skip
        if one["note"]:
            lines.append(f"  not measured: {one['note']}")
            continue
        if one["access"] != "call":
            lines.append(f"  {one['users']} callers, {one['sampled']:,} of {one['total']:,} rows")
        if not one["effects"]:
            lines.append("  nothing changes for them")
        lines += [_effect_line(each, one["access"]) for each in one["effects"]]
    return "\n".join(lines)


def _effect_line(one: dict[str, Any], access: str) -> str:
    roles = f" ({', '.join(one['roles'])})" if one["roles"] else ""
    who = f"  {clean(one['who'])}{roles}"
    if access == "call":
        return f"{who}  {'+ may call it now' if one['gained'] else '− may no longer call it'}"
    parts = []
    for sign, count, ids in (("+", one["gained"], one["gained_ids"]),
                             ("−", one["lost"], one["lost_ids"])):  # fmt: skip
        if count:
            more = ", …" if count > len(ids) else ""
            parts.append(f"{sign}{count:,} ({', '.join(ids)}{more})")
    return f"{who}  {'  '.join(parts)}"


def all_of(row: dict[str, Any]) -> str:
    """Return all that is shown of a row: what a filter looks at."""
    flags = " ".join(one["name"] for one in row["flags"])
    return f"{title_of(row)} {row['in_words']} {row.get('policy') or ''} {flags}"
