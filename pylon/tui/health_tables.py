"""What the Health screen shows: figures with their past, collections, what costs most, the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pylon.printable import clean
from pylon.tui.filtering import Filter, key_of
from pylon.tui.sparks import spark
from pylon.tui.tables import size_text

Line = list[tuple[str, str]]
_NAME: Final = 18
_NUMBER: Final = 10
_HELD_NAME: Final = 38
_FULL: Final = 0.9
#: Rings are meant to be full: that says nothing.
_RINGS: Final = frozenset({
    "CALLS_KEPT_MAX", "SLOW_CALLS_KEPT_MAX", "LOG_LINES_KEPT_MAX", "OUTBOX_MAILS_MAX",
    "TAIL_ENTRIES_MAX", "TAIL_BYTES_MAX", "HEALTH_SAMPLES_KEPT_MAX", "LIVE_KEPT_BYTES_MAX",
    "EXPLAINED_OPERATIONS_MAX", "WANTS_KEPT_MAX",
})  # fmt: skip
_HELD_SHOWN: Final = 6


def health_line(row: dict[str, Any], width: int) -> Line:
    """Return one line, which was laid out for the width."""
    return [(row["text"][: max(1, width)], row["style"])]


def number_text(value: float) -> str:
    """Return a figure without more digits than it means."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"


def rows_of(
    found: Mapping[str, Any], samples: Mapping[str, Sequence[float]], width: int, kind: str
) -> list[dict[str, Any]]:
    """Return the lines of the screen; none before anything was told.

    Args:
        found: what the runtime told last.
        samples: figures by name, the newest last.
        width: of the screen.
        kind: how charts are drawn, one of `sparks.KINDS`.
    """
    if not found:
        return []
    return [
        *_figures(found, samples, width, kind), *_jobs(found), *_held(found), *_functions(found),
        *_queries(found), *_subscriptions(found), *_followed(found), *_machine(found),
    ]  # fmt: skip


def is_bad_row(row: dict[str, Any]) -> bool:
    """Tell whether a line is of something that is full; what is wrong has its own text above."""
    return bool(row["style"] == "warn")


def _row(
    key: str, text: str, style: str = "plain", whole: str = "",
    cells: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:  # fmt: skip
    """Return a line; `cells` is what of it a filter can name, by the heads above it."""
    shown = clean(f" {text}")
    return {
        "key": key, "text": shown, "style": style, "whole": whole or shown.strip(),
        "cells": {key_of(name): str(value) for name, value in cells.items()},
    }  # fmt: skip


HEALTH_FILTER: Final = Filter(
    ("figure", "now", "most", "held", "size", "limit", "full", "function", "query",
     "subscription", "followed", "queue"),
    lambda row, key: row["cells"].get(key, ""),
    lambda row: str(row["text"]),
)  # fmt: skip


def _figures(
    found: Mapping[str, Any], samples: Mapping[str, Sequence[float]], width: int, kind: str
) -> Iterator[dict[str, Any]]:
    head = f"{'FIGURE':<{_NAME}} {'NOW':>{_NUMBER}} {'MOST':>{_NUMBER}}"
    yield _row("figures", f"{head}  LAST MINUTES", "head")
    room = max(8, width - _NAME - 2 * _NUMBER - 7)
    for name, ring in samples.items():
        values = list(ring)
        if not values:
            continue
        unit = str(found["units"].get(name, ""))
        now, most = _amount(values[-1], unit), _amount(max(values), unit)
        line = (
            f"{name:<{_NAME}} {now:>{_NUMBER}} {most:>{_NUMBER}}  {spark(values, room, kind=kind)}"
        )
        shown_unit = "" if unit in ("bytes", "") else f" {unit}"
        whole = f"{name}\nnow {now}{shown_unit}, at most {most}{shown_unit} in {len(values)} s\n\n"
        yield _row(
            name, line, whole=f"{whole}{spark(values, 100, kind=kind)}",
            cells={"figure": name, "now": now, "most": most},
        )  # fmt: skip


def _amount(value: float, unit: str) -> str:
    return size_text(int(value)) if unit == "bytes" else number_text(value)


def _jobs(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the queues of jobs: what is due and waits, what runs, what comes later, what died."""
    queues = found.get("jobs")  # a runtime of another version, or without its disk, does not tell
    if not queues:
        return
    head = f"{'JOB QUEUE':<{_NAME}} {'DUE':>{_NUMBER}} {'RUNNING':>{_NUMBER}} {'LATER':>{_NUMBER}}"
    yield _row("jobs", f"{head} {'DEAD':>{_NUMBER}}", "head")
    for one in queues:
        is_paused, is_bad = one["paused_at"] is not None, bool(one["dead"])
        running = f"{one['running']:,}/{one['concurrency']:,}"
        line = (
            f"{str(one['queue'])[:_NAME]:<{_NAME}} {one['available']:>{_NUMBER},}"
            f" {running:>{_NUMBER}} {one['scheduled']:>{_NUMBER},} {one['dead']:>{_NUMBER},}"
        )
        marks = " paused" * is_paused + " ! dead: 6" * is_bad
        yield _row(
            f"jobs {one['queue']}", line + marks, "warn" if is_bad else "plain",
            f"queue {one['queue']}{', paused' if is_paused else ''}\n{one['available']:,} due and"
            f" waiting, {running} running, {one['scheduled']:,} for later,"
            f" {one['dead']:,} dead\n\n6 shows the jobs themselves.",
            {"queue": one["queue"]},
        )  # fmt: skip


def _held(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    held = sorted(found["held"], key=lambda one: -float(one["share"]))
    yield _row("held", f"{'HELD IN MEMORY':<{_HELD_NAME}} {'SIZE':>10} {'LIMIT':>10}  FULL", "head")
    for place, one in enumerate(held):
        is_full = one["share"] >= _FULL and one["bound"] not in _RINGS
        if place >= _HELD_SHOWN and not is_full:
            continue
        unit = str(one["unit"])
        size, limit = _amount(one["size"], unit), _amount(one["limit"], unit)
        mark = "!" if is_full else " "
        yield _row(
            f"held {one['bound']}",
            f"{str(one['name'])[:_HELD_NAME]:<{_HELD_NAME}} {size:>10} {limit:>10}"
            f" {mark}{one['share']:>4.0%}",
            "warn" if is_full else "plain", f"{one['name']}: {size} of {limit}\n{one['bound']}",
            {"held": one["name"], "size": size, "limit": limit, "full": f"{one['share']:.0%}"},
        )  # fmt: skip
    rest = len(held) - _HELD_SHOWN
    if rest > 0:
        every = "\n".join(
            f"{one['name']:<{_HELD_NAME}} {_amount(one['size'], one['unit']):>10} of"
            f" {_amount(one['limit'], one['unit']):<10} {one['bound']}"
            for one in held
        )
        yield _row("held all", f"and {rest} more: enter", "quiet", every)


def _functions(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not found["slow_functions"]:
        return
    yield _row("functions", f"{'FUNCTION':<24} {'SECONDS':>9} {'CALLS':>8} {'P99 MS':>8}", "head")
    for one in found["slow_functions"][:5]:
        line = f"{str(one['name'])[:24]:<24} {one['seconds']:>9,.2f} {one['calls']:>8,}"
        yield _row(
            f"function {one['name']}", f"{line} {one['p99_ms'] or 0:>8,.1f}",
            cells={"function": one["name"]},
        )  # fmt: skip


def _queries(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not found["slow_queries"]:
        return
    yield _row("queries", f"{'SECONDS':>9} {'TIMES':>7}  SLOW QUERY", "head")
    for number, one in enumerate(found["slow_queries"][:5]):
        sql = " ".join(str(one["sql"]).split())
        spent = f"{one['seconds']} s in {one['count']} times, {one['rows']} rows"
        whole = f"{one['sql']}\n\n{spent}; of {one['function']}"
        line = f"{one['seconds']:>9,.3f} {one['count']:>7,}  {sql}"
        cells = {"query": sql, "function": one["function"]}
        yield _row(f"query {number}", line, whole=clean_lines(whole), cells=cells)


def clean_lines(text: str) -> str:
    """Return text of several lines without what could steer a terminal."""
    return "\n".join(clean(line) for line in text.split("\n"))


def _subscriptions(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not found["subscriptions"]:
        return
    head = f"{'SUBSCRIPTION':<16} {'NOW':>5} {'EVALUATED':>10} {'PUSHED':>8} {'BYTES':>9}  FILTER"
    yield _row("subscriptions", head, "head")
    for number, one in enumerate(found["subscriptions"][:5]):
        yield _row(
            f"subscription {number}",
            f"{str(one['entity'])[:16]:<16} {one['connections']:>5,} {one['evaluations']:>10,}"
            f" {one['pushes']:>8,} {size_text(one['bytes']):>9}  {one['filter']}",
            cells={"subscription": one["entity"], "now": one["connections"]},
        )  # fmt: skip


def _followed(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield followed calls of functions, those that took most time first: what each run costs."""
    rows = found.get("followed", ())  # a runtime of another version does not tell
    if not rows:
        return
    head = f"{'FOLLOWED CALL':<24} {'NOW':>5} {'RUNS':>8} {'MS A RUN':>9} {'BYTES':>9}  ARGUMENTS"
    yield _row("followed", head, "head")
    for number, one in enumerate(rows[:5]):
        line = f"{str(one['function'])[:24]:<24} {one['followers']:>5,} {one['runs']:>8,}"
        told = size_text(one["told_bytes"])
        yield _row(
            f"followed {number}",
            f"{line} {ms_a_run(one):>9,.2f} {told:>9}  {one['args']}",
            whole=f"{one['function']} {one['args']}\n\n{one['followers']:,} follow it:"
                  f" {', '.join(one['users'])}\n{one['runs']:,} runs, {one['useful']:,} of them"
                  f" told something new\n{one['ms']:,.1f} ms in all, {ms_a_run(one):,.2f} a run\n"
                  f"{told} told, {size_text(one['kept_bytes'])} kept",
            cells={"followed": one["function"], "now": one["followers"]},
        )  # fmt: skip


def ms_a_run(one: Mapping[str, Any]) -> float:
    """Return what a run of a followed call takes, on average."""
    return float(one["ms"]) / one["runs"] if one["runs"] else 0.0


def faults_words(sqlite: Mapping[str, Any]) -> str:
    """Return the known faults of the library in a few words, and whether they strike here."""
    names = [
        f"known fault {one['name']}{', avoided here' if one['but'] else ''}"
        for one in sqlite["faults"]
    ]
    return "; ".join(names) or "no known fault"


def _machine(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    sqlite, disk = found["sqlite"], found["disk"]
    yield _row("machine", "SQLITE AND DISK", "head")
    faults = [f"{one['name']}: {one['what']}. {one['but']}" for one in sqlite["faults"]]
    yield _row(
        "sqlite", f"SQLite {sqlite['version']} · {sqlite['journal_mode']} ·"
                  f" {sqlite['synchronous']} · {faults_words(sqlite)}",
        whole="\n\n".join(faults) or faults_words(sqlite),
    )  # fmt: skip
    yield _row(
        "disk", f"disk {size_text(disk['free_bytes'])} free of {size_text(disk['total_bytes'])} ·"
                f" database {size_text(disk['database_bytes'])} · journal"
                f" {size_text(disk['wal_bytes'])}"
    )  # fmt: skip
