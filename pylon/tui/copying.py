"""What can be copied of a row, and rows as text to read."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon import jsonvalue


def pretty(value: Any) -> str:
    """Return a JSON value on indented lines."""
    return msgspec.json.format(jsonvalue.encode(value), indent=2).decode()


def copies(pane: str, row: Any, url: str) -> list[tuple[str, str]]:
    """Return (name, text) of everything that can be copied of a pane's row."""
    if pane == "mail":
        return [("code", str(row["code"] or row["text"]))]
    if pane == "runtime":
        return [("line", row[1])]
    whole = jsonvalue.encode_text(row)
    if pane == "log":
        path = f"{url}/api/entities/{row['entity']}/{row['row_id']}"
        return [
            ("id", str(row["row_id"])), ("change as JSON", whole),
            ("as curl", f"curl -H 'Authorization: Bearer …' {path}"),
        ]  # fmt: skip
    name = {"clients": "client_id", "functions": "name"}.get(pane)
    first = [(name, str(row[name]))] if name else []
    return [*first, ("JSON", whole)]
