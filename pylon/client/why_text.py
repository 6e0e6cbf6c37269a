"""An explanation in lines for people: what was decided, what would flip it, and the tree.

Made of the JSON of `policy.explain`, so that the command line and the dashboard say the same. Each
line is a list of (text, style); values stand in full, and are not cleaned for a terminal yet.
"""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue

Line = list[tuple[str, str]]
_ANSWERS = {
    "true": ("✓ true", "good"),
    "false": ("✗ false", "bad"),
    "unknown": ("? unknown", "warn"),
}
_HEADS = {"all": "all of", "any": "any of", "not": "not"}


def why_lines(found: dict[str, Any], user: str) -> list[Line]:
    """Return an explanation as lines."""
    verdict = ("✓ allowed", "good") if found["allowed"] else ("✗ denied", "bad")
    what = f"  {found['access']} {found['entity'] or ''} {found['id'] or ''}".rstrip()
    if "field" in found:
        what += f", the field {found['field']}"
    lines: list[Line] = [[verdict, (what, "strong"), (f"  as {user}", "plain")]]
    if "flip" in found:
        lines.append([("→ ", "accent"), (found["flip"], "strong")])
    elif not found["allowed"]:
        lines.append([("→ no single change was found that would make it pass", "quiet")])
    policy = found["policy"] or "none: without a policy only the system may"
    lines += [[("policy   ", "quiet"), (" ".join(policy.split()), "plain")]]
    lines += [[("decided  ", "quiet"), (found["decided_by"], "plain")], []]
    return lines + _step_lines(found["tree"], 0)


def _step_lines(step: dict[str, Any], depth: int) -> list[Line]:
    indent = "  " * depth
    answer, style = _ANSWERS[step["value"]]
    head: Line = [(indent, "plain"), (f"{answer:<9} ", style)]
    if "label" in step:
        head.append((f"{step['label']}: ", "accent"))
    is_group = step["kind"] in _HEADS
    head.append((_HEADS[step["kind"]] if is_group else step["text"], "plain"))
    if step.get("decides"):
        head.append(("  ◀ decided", "accent"))
    lines = [head]
    below = f"{indent}            "
    for name, value in step.get("operands", {}).items():
        lines.append([(below, "plain"), (f"{name} = ", "quiet"), (_value(value), "plain")])
    lines += [[(below, "plain"), *one] for one in _witness(step)]
    if "error" in step:
        lines.append([(below, "plain"), (f"failed: {step['error']}", "bad")])
    if "flip" in step:
        lines.append([(below, "plain"), (f"→ {step['flip']}", "accent")])
    for one in step.get("items", ()):
        lines += _step_lines(one, depth + 1)
    return lines


def _witness(step: dict[str, Any]) -> list[Line]:
    if "match" in step:
        return [[("matches ", "quiet"), (_row(step["match"]), "plain")]]
    if "nearest" in step:
        return [
            [("nearest ", "quiet"), (_row(step["nearest"]), "plain")],
            [("   misses ", "quiet"), (", ".join(step["misses"]), "warn")],
        ]
    if step["kind"] == "exists" and step["value"] == "false":
        return [[("no row comes near", "quiet")]]
    return []


def _row(row: dict[str, Any]) -> str:
    fields = ", ".join(f"{name} = {_value(value)}" for name, value in row.items() if name != "id")
    return f"{row['id']}: {fields}" if fields else str(row["id"])


def _value(value: Any) -> str:
    return "absent" if value is None else jsonvalue.encode_text(value)


def why_text(found: dict[str, Any], user: str) -> str:
    """Return an explanation as plain text."""
    return "\n".join("".join(text for text, _ in line) for line in why_lines(found, user))
