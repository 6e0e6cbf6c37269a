"""What the Functions screen shows: the list, and all about one function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from textwrap import wrap
from typing import Any, Final

from pylon import jsonvalue
from pylon.client.functions_text import (
    bound_words,
    error_words,
    live_words,
    ms_words,
    outcome_words,
    sharers_words,
)
from pylon.printable import clean, clean_block
from pylon.tui.columns import Column, data_line, head_line
from pylon.tui.filtering import listed

Line = list[tuple[str, str]]

FUNCTIONS: Final = (
    Column("FUNCTION", 18, most=32), Column("KIND", 8, 66), Column("/MIN", 5, right=True),
    Column("CALLS", 8, 96, right=True), Column("RUNS", 4, 96, right=True),
    Column("ERRORS", 6, right=True), Column("REFUSED", 7, 110, right=True),
    Column("P50 MS", 6, right=True), Column("P99 MS", 6, right=True),
    Column("FOLLOWED", 8, 120, right=True), Column("AT", 18, 130, most=32),
    Column("MAY CALL", 34, 160),
    Column("LAST ERROR", 48),
)  # fmt: skip
CALLS: Final = (
    Column("TIME", 8), Column("OUTCOME", 12), Column("WAIT MS", 7, right=True),
    Column("RUN MS", 7, right=True), Column("READ", 6, right=True), Column("WROTE", 5, right=True),
    Column("CAUSE", 26, 110, most=32), Column("ERROR", 44, 160), Column("BY", 12),
)  # fmt: skip
FOLLOWED: Final = (
    Column("ARGUMENTS", 20), Column("WHO", 4, right=True), Column("RUNS", 6, right=True),
    Column("NEWS", 6, right=True), Column("TOLD", 6, right=True), Column("MS", 7, right=True),
    Column("READ", 7, 90, right=True), Column("SHARED BY", 12),
)  # fmt: skip
_FACT: Final = 10
_SOURCE_LINES: Final = 200


def is_bad_function(one: dict[str, Any]) -> bool:
    """Tell whether calls of a function have failed."""
    return bool(one["errors"])


def function_line(one: dict[str, Any], width: int) -> Line:
    """Return the line of a function; an error has its sign."""
    error = one["last_error"]
    return data_line(
        FUNCTIONS,
        (
            (one["name"], "strong"), (one["kind"], "quiet"),
            (one["per_minute"], "accent" if one["per_minute"] else "quiet"),
            (one["calls"], "plain" if one["calls"] else "quiet"),
            (one["running"] or "", "accent"),
            (f"✗{one['errors']}" if one["errors"] else "-", "bad" if one["errors"] else "quiet"),
            (one["refused"] or "-", "warn" if one["refused"] else "quiet"),
            (_figure(one["p50_ms"]), "plain"),
            (_figure(one["p99_ms"]), "warn" if (one["p99_ms"] or 0) > 100 else "plain"),
            ("" if one["live"] is None else one["live"]["followers"], "plain"),
            (one["place"], "quiet"), (one["allow_in_words"], "quiet"),
            ("" if error is None else f"{error['at'][11:19]} {error_words(error)}", "bad"),
        ),
        width,
    )  # fmt: skip


def _told_of(one: dict[str, Any]) -> str:
    """Return what words without a column look at: what it is, who may call it, how it failed."""
    error = one["last_error"] or {}
    told = ("name", "signature", "doc", "kind", "place", "allow_in_words")
    said = [*(one[name] for name in told), error.get("code"), error.get("message")]
    return " ".join(str(each or "") for each in said)


FUNCTION_FILTER: Final = listed(
    FUNCTIONS, function_line, text=_told_of,
    more={
        "name": itemgetter("name"), "place": itemgetter("place"),
        "allow": itemgetter("allow_in_words"),
    },
)  # fmt: skip


def functions_head(width: int) -> Line:
    """Return the heads of functions."""
    return head_line(FUNCTIONS, width)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


# --- all about one


def function_words(found: dict[str, Any], width: int) -> str:
    """Return all about a function: what it is, how it does, its last calls and its slow ones."""
    error = found["last_error"]
    allow = found["allow_in_words"]
    if found["allow"] is not None and found["allow"] != allow:
        allow += f"  ({found['allow']})"
    facts = (
        ("about", found["doc"]),
        ("kind", found["kind"] + (f" · streams {found['part']}" if found["part"] else "")
         + (f" · queue {found['queue']}" if found["queue"] else "")),
        ("stands at", found["place"]), ("may call", allow), ("bounds", bound_words(found)),
        ("counts", counts_words(found)), ("takes", times_words(found)),
        ("followed", live_words(found["live"])),
        ("last error", "" if error is None else f"{error['at']} {error_words(error)}"),
    )  # fmt: skip
    lines = [*_block(found["signature"], width, " "), ""]
    for name, value in facts:
        if value:
            first, *more = _block(value, width - _FACT, "") or [""]
            lines.append(f" {name:<{_FACT}} {first}")
            lines += [f" {'':<{_FACT}} {one}" for one in more]
    if found["arguments"]:
        lines += ["", " arguments", *_arguments(found["arguments"], width)]
    if found["followed"]:
        lines += ["", *_followed(found["followed"], width)]
    lines += ["", *_calls(found["last_calls"], width)]
    lines += ["", *_slow(found["slow_calls"], width)]
    if found["source"]:
        source = clean_block(found["source"]).rstrip().splitlines()
        lines += ["", " source", *(f"   {one}" for one in source[:_SOURCE_LINES])]
        if len(source) > _SOURCE_LINES:
            lines.append(f"   … {len(source) - _SOURCE_LINES} more lines")
    return "\n".join(lines)


def counts_words(one: dict[str, Any]) -> str:
    """Return the counts of a function in one line."""
    running = f" · {one['running']} running" if one["running"] else ""
    calls = "1 call" if one["calls"] == 1 else f"{one['calls']:,} calls"
    return (
        f"{one['per_minute']}/min · {calls}{running} · {one['errors']:,} errors"
        f" · {one['refused']:,} refused"
    )


def times_words(one: dict[str, Any]) -> str:
    """Return how long a function takes, and how many rows it went through; empty before a call."""
    if not one["calls"]:
        return ""
    return (
        f"p50 {ms_words(one['p50_ms'])} · p99 {ms_words(one['p99_ms'])} · "
        f"{one['rows_read']:,} rows read, {one['rows_written']:,} written in all"
    )


def _arguments(arguments: Iterable[dict[str, Any]], width: int) -> list[str]:
    lines = []
    for one in arguments:
        if one["required"]:
            more = "required"
        elif "default" in one:
            more = f"default {jsonvalue.encode_text(one['default'])}"
        else:
            more = "may be left out"
        lines += _block(f"{one['name']}: {one['type']} · {more}", width, "   ")
    return lines


def _followed(followed: Sequence[dict[str, Any]], width: int) -> list[str]:
    """Return the calls that are followed, those whose runs took longest first."""
    rows = (
        (one["args"], one["followers"], one["runs"], one["useful"], one["told"],
         _figure(one["ms"]), one["rows_read"], sharers_words(one))
        for one in followed
    )  # fmt: skip
    return [
        " followed calls, the dearest first",
        _plain(head_line(FOLLOWED, width - 2)),
        *(
            _plain(data_line(FOLLOWED, [(cell, "plain") for cell in row], width - 2))
            for row in rows
        ),
    ]


def _calls(calls: Sequence[dict[str, Any]], width: int) -> list[str]:
    if not calls:
        return [" last calls: none since the runtime started"]
    return [
        " last calls, the newest first",
        _plain(head_line(CALLS, width - 2)),
        *(_plain(_call(one, width - 2)) for one in calls),
    ]


def _call(one: dict[str, Any], width: int) -> Line:
    outcome = outcome_words(one)
    sign = {"done": "✓", "running": "●", "cancelled": "-", "CANCELLED": "-"}.get(outcome, "✗")
    cells = (
        one["at"][11:19], f"{sign} {outcome}", _figure(one["wait_ms"]), _figure(one["run_ms"]),
        one["rows_read"], one["rows_written"], one["cause"], one["error"], one["user"],
    )  # fmt: skip
    return data_line(CALLS, [(cell, "plain") for cell in cells], width)


def _plain(line: Line) -> str:
    return "  " + "".join(text for text, _ in line).rstrip()


def _slow(calls: Sequence[dict[str, Any]], width: int) -> list[str]:
    if not calls:
        return [" slow calls: none took 50 ms or longer"]
    lines = [" slow calls, the newest first: statements that took longest, with their plans"]
    for call in calls:
        head = (f"{call['at'][11:19]} ran {ms_words(call['run_ms'])}, waited"
                f" {ms_words(call['wait_ms'])} · {call['statements']:,} statements ·"
                f" {_whose(call)} · {outcome_words(call)}")  # fmt: skip
        lines += ["", *_block(head, width, "   ")]
        if not call["slowest"]:
            lines.append("     no SQL: it waited, or it is Python")
        for one in call["slowest"]:
            times = "once" if one["count"] == 1 else f"{one['count']:,} times"
            lines += _block(f"{ms_words(one['ms'])}, {times}, {one['rows']:,} rows: {one['sql']}",
                            width, "     ")  # fmt: skip
            for step in one["plan"]:
                mark = "! " if step.startswith("SCAN ") else "· "
                lines += _block(f"{mark}{step}", width, "       ")
    return lines


def _whose(call: dict[str, Any]) -> str:
    who = str(call["user"] or "anonymous")
    followers = call["followers"]
    return who if followers is None else f"run as {who} for {followers:,} followers"


def _block(text: Any, width: int, indent: str) -> list[str]:
    """Return text as lines that fit, made harmless."""
    found = []
    for line in clean_block(text).splitlines():
        size = max(20, width - len(indent) - 2)
        found += wrap(line, size, subsequent_indent="  ") or [""]
    return [f"{indent}{one}" for one in found]


def function_copies(function: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what can be copied of a function."""
    found = [("name", str(function["name"])), ("signature", str(function["signature"])),
             ("command", f"pylon functions {clean(function['name'])}")]  # fmt: skip
    if function["place"]:
        found.append(("place", str(function["place"])))
    if function["last_error"] is not None:
        found.append(("last error", error_words(function["last_error"])))
    return [*found, ("JSON", jsonvalue.encode_text(function))]
