"""The past in words: changes of a row, causes, differences; for the dashboard and for lines."""

from __future__ import annotations

from typing import Any

from pylon import jsonvalue

_VALUE_CHARS = 60
_LINKS = {
    "step": "step {name}", "workflow": "workflow {name} ({id})", "job": "job {name} ({id})",
    "function": "function {name}", "request": "request by {name}", "schedule": "schedule {name}",
    "tool": "{name}",
}  # fmt: skip


def chain_words(chain: list[dict[str, Any]]) -> str:
    """Return a chain of causes, the nearest first: `job polish (01a…) ← function rename ← …`."""
    words = []
    for one in chain:
        text = _LINKS.get(one["kind"], "{name}").format(name=one["name"], id=one["id"])
        if one.get("user"):
            text += f" as {one['user']}"
        words.append(f"{text}, no longer kept" if one.get("gone") else text)
    return " ← ".join(words) or "not told"


def value_words(value: Any) -> str:
    """Return a value on one line, cut where it is long."""
    text = jsonvalue.encode_text(value)
    return text if len(text) <= _VALUE_CHARS else f"{text[: _VALUE_CHARS - 1]}…"


def moved_words(change: dict[str, Any]) -> list[str]:
    """Return what a change did to each field that it moved: `title: "a" → "b"`."""
    if change.get("erased"):
        return ["(what it wrote was erased)"]
    before, after = change.get("before"), change.get("after")
    lines = []
    for name in change["fields"]:
        if before is None or after is None:
            lines.append(f"{name}: {value_words((after or before or {}).get(name))}")
        else:
            lines.append(
                f"{name}: {value_words(before.get(name))} → {value_words(after.get(name))}"
            )
    return lines


def who_words(change: dict[str, Any]) -> str:
    """Return who made a change."""
    return str(change["user"] or "system")


def came_with_field(blame: dict[str, Any]) -> str:
    """Return that a value came with its field, which a migration added; empty where not so."""
    after = blame.get("added_after")
    return "" if after is None else f"came with the field: a migration, after change {after:,}"


#: What a client holds of a row, by `held` of the lens.
HELD_WORDS = {
    "row": "it holds version {version} of this row",
    "no_row": "it does not hold the row, which was not there then",
    "not_visible": "it does not hold the row: its user may not read it",
    "not_wanted": "it does not hold the row: no subscription of it matches",
    "not_subscribed": "it does not hold the row: it subscribes to nothing of this entity",
    "windows": "it has windows of this entity alone, which follow no cursor: unknown",
    "starts_over": "it has to load everything anew",
    "unknown": "what it holds of this row is unknown",
}


def held_words(client: dict[str, Any]) -> str:
    """Return what is known of what a client holds, and what it has not acknowledged yet.

    No client tells its rows: it acknowledges how far it has stored the changes, and up to there it
    has what it may see.
    """
    version = (client.get("row") or {}).get("_seq", "?")
    held = HELD_WORDS.get(client["held"], str(client["held"])).replace("{version}", str(version))
    words = f"has acknowledged change {client['seq']}: {held}"
    if client.get("reason"):
        words += f" ({client['reason']})"
    unseen = client.get("unseen") or []
    if unseen:
        words += f"; not acknowledged yet: {', '.join(str(one) for one in unseen)}"
    return words


def retained_words(held: dict[str, Any]) -> str:
    """Return how far back the log reaches."""
    if held["floor"] == 0:
        return "the log has everything since the beginning"
    since = f", since {held['oldest_at']}" if held.get("oldest_at") else ""
    return f"the log reaches back to change {held['floor'] + 1}{since}; before that is not kept"


def differing(server: dict[str, Any] | None, other: dict[str, Any] | None) -> list[str]:
    """Return the fields that two forms of a row differ in; a field that is not given differs."""
    names = [*(server or {}), *[one for one in other or {} if one not in (server or {})]]
    absent = object()
    return [
        one for one in names if (server or {}).get(one, absent) != (other or {}).get(one, absent)
    ]
