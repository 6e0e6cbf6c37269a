"""What the Files screen shows: totals and quotas, files with who holds them, all about one."""

from __future__ import annotations

from typing import Any, Final

from pylon import jsonvalue, limits
from pylon.printable import clean
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.files import FilesState
from pylon.tui.tables import size_text
from pylon.tui.workflows_tables import ms_of, span_words

Line = list[tuple[str, str]]

#: Each state with its sign: it is told without colour, too.
SIGNS: Final = {
    "owned": ("● owned", "good"), "fresh": ("○ fresh", "warn"),
    "released": ("- released", "quiet"),
}  # fmt: skip
FILES: Final = (
    Column("STATE", 10), Column("NAME", 18, most=44), Column("TYPE", 14, 110, most=24),
    Column("SIZE", 9, right=True), Column("AGE", 6, right=True), Column("BY", 18, 100, most=32),
    Column("SHA256", 12, 150), Column("ID", 32, 180), Column("IN", 47),
)  # fmt: skip
_FACT: Final = 10
_LEADERS: Final = 3
_UPLOADS: Final = 2
#: The columns that a search line can name: the runtime looks it up, so none that only passes.
SEARCHED: Final = (
    "state", "name", "type", "size", "by", "sha256", "id", "in", "user", "entity",
)  # fmt: skip


def file_line(one: dict[str, Any], width: int) -> Line:
    """Return the line of a file; `age` was worked out for the moment of drawing."""
    return data_line(
        FILES,
        (
            SIGNS.get(one["state"], (one["state"], "plain")), (one["name"], "strong"),
            (one["type"], "quiet"), (size_text(one["size"]), "plain"), (one["age"], "quiet"),
            (by_words(one), "quiet"), (one["sha256"], "quiet"), (one["id"], "quiet"),
            (where_words(one), "plain"),
        ),
        width,
    )  # fmt: skip


def files_head(width: int) -> Line:
    """Return the heads of files."""
    return head_line(FILES, width)


def drawn(one: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return a file with what its line says at this moment."""
    return {**one, "age": span_words(now_ms - ms_of(one["created_at"])), "now_ms": now_ms}


def by_words(one: dict[str, Any]) -> str:
    """Return who brought a file or an upload, as people know them."""
    return str(one["email"] or one["uploader"] or "nobody")


def where_words(one: dict[str, Any]) -> str:
    """Return what holds a file, or when it goes."""
    if one["owners"]:
        first = one["owners"][0]
        more = f" +{len(one['owners']) - 1}" if len(one["owners"]) > 1 else ""
        return f"{first['entity']}.{first['field']} {first['row_id']}{more}"
    if one["leaves_at"] is None:
        return "-"
    return f"goes in {span_words(max(0, ms_of(one['leaves_at']) - one['now_ms']))}"


def totals_words(state: FilesState, width: int) -> str:
    """Return three lines: how much there is, whose, and what is coming in."""
    totals, settings = state.totals, state.settings
    if not totals:
        return "\n\n"
    parts = [
        f"{SIGNS[name][0]} {totals[name]['files']:,}, {size_text(totals[name]['bytes'])}"
        for name in SIGNS
    ]
    most = int(settings.get("total_mb") or 0)
    of = f" of {size_text(most * limits.MIB)}" if most else ""
    disk = f"on disk {size_text(totals['stored_bytes'])}{of}{_share(totals['stored_bytes'], most)}"
    quota = int(settings.get("quota_mb") or 0)
    leaders = [
        f"{clean(by_words(one))} {size_text(one['bytes'])}{_share(one['bytes'], quota)}"
        for one in state.leaders[:_LEADERS]
    ]
    told = f"quota {size_text(quota * limits.MIB)} a user" if quota else "no quota"
    uploads = [
        f"{clean(one['name'])} {size_text(one['offset'])} of {size_text(one['length'])}"
        f"{'' if one['is_under_way'] else ' (rests)'}"
        for one in state.uploads[:_UPLOADS]
    ]
    count = int(totals["uploads"])
    coming = f"uploads {count}: {' · '.join(uploads)}" if count else "no upload under way"
    lines = (" · ".join([*parts, disk]), " · ".join([told, *leaders]), coming)
    return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def _share(size: int, most_mb: int) -> str:
    if not most_mb:
        return ""
    return f" ({size / (most_mb * limits.MIB):.0%})"


def file_words(one: dict[str, Any], now_ms: int) -> str:
    """Return all about a file: facts, the rows that hold it, the widths that were made of it."""
    facts = [
        ("name", one["name"]), ("type", one["type"]),
        ("size", f"{size_text(one['size'])} ({one['size']:,} bytes)"),
        ("sha256", one["sha256"]),
        ("state", f"{SIGNS.get(one['state'], (one['state'], ''))[0]} since {one['since']}"),
        ("goes", one["leaves_at"]), ("came", one["created_at"]),
        ("by", f"{by_words(one)} ({one['uploader']})" if one["email"] else by_words(one)),
        ("url", f"/api/files/{one['id']}"), ("id", one["id"]),
    ]  # fmt: skip
    lines = [f"{name:<{_FACT}}{clean(value)}" for name, value in facts if value is not None]
    lines += ["", "in"]
    lines += [f"  {clean(it['entity'])}/{clean(it['row_id'])}.{clean(it['field'])}"
              for it in one["owners"]] or ["  no row"]  # fmt: skip
    made = one.get("variants") or []
    if made or str(one["type"]).startswith("image/"):
        lines += ["", "widths that were made (?w=)"]
        lines += [f"  {it['width']:>5}  {size_text(it['bytes'])}" for it in made] or ["  none yet"]
    if one["state"] == "released":
        left = span_words(max(0, ms_of(one["leaves_at"]) - now_ms))
        lines += ["", f"Nobody reads it any more; its bytes go in {left}, or with S now."]
    return "\n".join(lines)


def file_copies(one: dict[str, Any], url: str) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of a file."""
    whole = {name: value for name, value in one.items() if name not in ("age", "now_ms")}
    return [
        ("id", str(one["id"])), ("url", f"{url}/api/files/{one['id']}"),
        ("sha256", str(one["sha256"])), ("command", f"pylon files show {one['id']}"),
        ("JSON", jsonvalue.encode_text(whole)),
    ]  # fmt: skip
