"""What can be copied of a row, and rows as text to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pylon import jsonvalue
from pylon.client.admin import AdminClient
from pylon.tui.policies_text import details_of

#: (name, text) of what can be copied.
Copies = list[tuple[str, str]]
_LINK: Final = re.compile(r"https?://[^\s<>\"'\x00-\x1f\x7f]+")


def pretty(value: Any) -> str:
    """Return a JSON value on indented lines."""
    return msgspec.json.format(jsonvalue.encode(value), indent=2).decode()


def readable(row: dict[str, Any]) -> str:
    """Return a row name by name; texts of several lines stand below, as they are."""
    width = max((len(name) for name in row), default=0)
    blocks = {name: one for name, one in row.items() if isinstance(one, str) and "\n" in one}
    lines = [
        f"{name:<{width}}  {value if isinstance(value, str) else jsonvalue.encode_text(value)}"
        for name, value in row.items()
        if name not in blocks and value is not None
    ]
    for name, text in blocks.items():
        lines += ["", name, "", text]
    return "\n".join(lines)


def differences(change: Any) -> str:
    """Return what a change did field by field: what was with a minus, what is with a plus.

    Empty for what has no images, and for fields that are the same before and after.
    """
    before, after = change.get("before") or {}, change.get("after") or {}
    names = [name for name in {**before, **after} if not name.startswith("_")]
    width = max((len(name) for name in names), default=0)
    lines = []
    for name in names:
        for mark, image, other in (("-", before, after), ("+", after, before)):
            if name in image and (name not in other or other[name] != image[name]):
                value = jsonvalue.encode_text(image[name])
                lines.append(f"{mark} {name:<{width}}  {value}")
    return "\n".join(lines) + "\n\n" if lines else ""


def copies(pane: str, row: Any, url: str) -> Copies:
    """Return (name, text) of everything that can be copied of a pane's row."""
    if pane == "mail":
        return _mail_copies(row, url)
    if pane == "runtime":
        return [("line", row[1])]
    if pane == "policies":
        return _policy_copies(row)
    whole = jsonvalue.encode_text(row)
    name = {"clients": "client_id", "functions": "name"}.get(pane)
    first = [(name, str(row[name]))] if name else []
    return [*first, ("JSON", whole)]


def change_copies(change: dict[str, Any], curl: Callable[[str], str]) -> Copies:
    """Return what can be copied of a change; `curl` makes the line that asks the admin API."""
    whole = ("change as JSON", jsonvalue.encode_text(change))
    if not change["row_id"]:  # a slice is of many rows
        return [whole]
    return [
        ("id", str(change["row_id"])), whole,
        ("row as curl", curl(row_path(str(change["entity"]), str(change["row_id"])))),
    ]  # fmt: skip


def row_path(entity: str, row_id: str) -> str:
    """Return where the admin API has a row, below `/api/`."""
    return "/".join(["admin/data", AdminClient.quoted(entity), AdminClient.quoted(row_id)])


def link_of(mail: dict[str, Any], url: str) -> str | None:
    """Return the link of a mail: into the app where there is one, else the first; or None."""
    links = [one.rstrip(".,;:!?)>") for one in _LINK.findall(str(mail.get("text") or ""))]
    own = [one for one in links if url and one.startswith(f"{url}/")]
    return next(iter([*own, *links]), None)


def _mail_copies(mail: dict[str, Any], url: str) -> Copies:
    link = link_of(mail, url)
    found = [("code", mail["code"]), ("link", link)]
    kept = [(name, str(text)) for name, text in found if text]
    return kept or [("text", str(mail["text"] or mail["subject"]))]


def _policy_copies(row: dict[str, Any]) -> Copies:
    found = [("in words", row["in_words"])]
    if row.get("policy") is not None:
        found.append(("policy", row["policy"]))
    return [*found, ("all of it", details_of(row)), ("JSON", jsonvalue.encode_text(row))]
