"""`pylon health`: how the running app is doing, in figures of the last minutes."""

from __future__ import annotations

from typing import Any

import click

from pylon.cli.files import size_text
from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.tui.health_tables import ms_a_run, number_text
from pylon.tui.sparks import spark

_HELD_SHOWN = 8
_SPARK_WIDTH = 40


@click.command(short_help="Show how the running app is doing.")
@click.option("--all", "is_all", is_flag=True, help="Every collection, not only the fullest.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw lines with plain characters.")
@project_option
@json_option
def health(is_all: bool, is_ascii: bool, project_path: str | None, as_json: bool) -> None:
    """Show figures of the last minutes, what memory holds, what is slow, SQLite and the disk."""
    found = ask_path(project_path, "GET", "admin/health", {})
    if as_json:
        print_json(found)
        return
    print_table(
        ["FIGURE", "NOW", "MOST", "UNIT", "LAST MINUTES"],
        [
            [name, number_text(values[-1]), number_text(max(values)), found["units"][name],
             spark(values, _SPARK_WIDTH, kind="ascii" if is_ascii else "blocks")]
            for name, values in found["samples"].items() if values
        ],
    )  # fmt: skip
    if found.get("jobs"):
        print_line("")
        print_table(
            ["JOB QUEUE", "DUE", "RUNNING", "LATER", "DEAD", "PAUSED"],
            [
                [one["queue"], one["available"], f"{one['running']}/{one['concurrency']}",
                 one["scheduled"], one["dead"], one["paused_at"] or ""]
                for one in found["jobs"]
            ],
        )  # fmt: skip
    held = sorted(found["held"], key=lambda one: -one["share"])
    print_line("")
    print_table(
        ["HELD", "SIZE", "LIMIT", "FULL", "BY"],
        [
            [one["name"], amount_text(one["size"], one["unit"]),
             amount_text(one["limit"], one["unit"]), f"{one['share']:.0%}", one["bound"]]
            for one in (held if is_all else held[:_HELD_SHOWN])
        ],
    )  # fmt: skip
    _slow(found)
    sqlite, disk = found["sqlite"], found["disk"]
    print_line("")
    print_line(f"SQLite {sqlite['version']}, {sqlite['journal_mode']}, {sqlite['synchronous']}:"
               f" writes {sqlite['health']}")  # fmt: skip
    for one in sqlite["faults"]:
        print_line(f"  known fault {one['name']} ({one['first']} to {one['last']}): {one['what']}")
        if one["but"]:
            print_line(f"  it does not strike here: {one['but']}")
    print_line(f"disk   {size_text(disk['free_bytes'])} free of {size_text(disk['total_bytes'])};"
               f" database {size_text(disk['database_bytes'])},"
               f" journal {size_text(disk['wal_bytes'])}")  # fmt: skip
    if not is_all and len(held) > _HELD_SHOWN:
        say(f"{len(held) - _HELD_SHOWN} more collections with --all")


def _slow(found: dict[str, Any]) -> None:
    if found["slow_functions"]:
        print_line("")
        print_table(
            ["FUNCTION", "SECONDS", "CALLS", "PER MIN", "P50 MS", "P99 MS", "ERRORS"],
            [
                [one["name"], one["seconds"], one["calls"], one["per_minute"], one["p50_ms"],
                 one["p99_ms"], one["errors"]]
                for one in found["slow_functions"]
            ],
        )  # fmt: skip
    if found["slow_queries"]:
        print_line("")
        print_table(
            ["SLOW QUERY", "SECONDS", "TIMES", "ROWS", "OF"],
            [
                [one["sql"], one["seconds"], one["count"], one["rows"], one["function"]]
                for one in found["slow_queries"]
            ],
        )  # fmt: skip
    if found["subscriptions"]:
        print_line("")
        print_table(
            ["SUBSCRIPTION", "FILTER", "NOW", "EVALUATIONS", "PUSHES", "BYTES"],
            [
                [one["entity"], one["filter"], one["connections"], one["evaluations"],
                 one["pushes"], size_text(one["bytes"])]
                for one in found["subscriptions"]
            ],
        )  # fmt: skip
    if found.get("followed"):
        print_line("")
        print_table(
            ["FOLLOWED CALL", "ARGUMENTS", "NOW", "RUNS", "MS A RUN", "TOLD"],
            [
                [one["function"], one["args"], one["followers"], one["runs"],
                 round(ms_a_run(one), 2), size_text(one["told_bytes"])]
                for one in found["followed"]
            ],
        )  # fmt: skip


def amount_text(value: int, unit: str) -> str:
    """Return how much there is of something."""
    return size_text(value) if unit == "bytes" else f"{value:,}"
