"""`pylon functions`: what can be called in the running app, and how each has been doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient
from pylon.client.functions_text import (
    bound_words,
    error_words,
    live_words,
    ms_words,
    outcome_words,
    sharers_words,
)
from pylon.printable import counted

LIVE_ORDERS: Final = ("ms", "runs", "useless", "told", "followers")


@click.command(short_help="Show the functions, and how their calls went.")
@click.argument("name", required=False)
@click.option("--live", "is_live", is_flag=True, help="What is followed, and what that costs.")
@click.option(
    "--order",
    type=click.Choice(LIVE_ORDERS),
    default="ms",
    show_default=True,
    help="With --live: what comes first.",
)
@project_option
@json_option
def functions(
    name: str | None, is_live: bool, order: str, project_path: str | None, as_json: bool
) -> None:  # fmt: skip
    """Show the functions of the running app with their counts, or one with its last calls.

    Counts are since the runtime started; durations are of the last 256 calls of each. With --live
    each followed call has a line: its runs, those of them with news, and who shares them.
    """
    if is_live:
        _show_live(name, order, find_project(project_path), as_json=as_json)
        return
    path = "admin/functions" if name is None else f"admin/functions/{AdminClient.quoted(name)}"
    found = ask_runtime(find_project(project_path), lambda admin: admin.get(path))
    if as_json:
        print_json(found)
    elif name is not None:
        _print_one(found)
    elif not found["functions"]:
        say("the app has no functions; one is declared with @app.query, @app.mutation, …")
    else:
        print_table(
            ["FUNCTION", "KIND", "MAY CALL", "/MIN", "CALLS", "ERRORS", "P50 MS", "P99 MS", "AT",
             "LAST ERROR"],
            [
                [one["name"], one["kind"], one["allow_in_words"], one["per_minute"], one["calls"],
                 one["errors"], one["p50_ms"], one["p99_ms"], one["place"],
                 error_words(one["last_error"])]
                for one in found["functions"]
            ],
        )  # fmt: skip


def _show_live(name: str | None, order: str, project: Path, *, as_json: bool) -> None:
    asked = {"order": order} | ({} if name is None else {"function": name})
    path = f"admin/live?{urlencode(asked)}"
    found = ask_runtime(project, lambda admin: admin.get(path))
    if as_json:
        print_json(found)
        return
    if not found["live"]:
        say("nobody follows a function; a page does by db.live, a script by client.live")
        return
    print_table(
        ["FUNCTION", "ARGUMENTS", "FOLLOWERS", "RUNS", "NEWS", "TOLD", "MS", "READ", "KEPT KB",
         "SHARED BY"],
        [
            [one["function"], one["args"], one["followers"], one["runs"], one["useful"],
             one["told"], one["ms"], one["rows_read"], round(one["kept_bytes"] / 1024, 1),
             sharers_words(one)]
            for one in found["live"]
        ],
    )  # fmt: skip
    print_line(
        f"{found['followers']:,} followers of {found['answers']:,} values; since the start"
        f" {found['runs']:,} runs, {found['useful']:,} with news, {found['told']:,} values told"
    )


def _print_one(found: dict[str, Any]) -> None:
    print_line(found["signature"])
    print_line(f"  {found['kind']} at {found['place'] or 'no file of the app'}")
    print_line(f"  may be called by: {found['allow_in_words']}")
    if bound_words(found):
        print_line(f"  {bound_words(found)}")
    if found["part"] is not None:
        print_line(f"  streams: {found['part']}")
    if found["doc"]:
        print_line(f"  {found['doc']}")
    print_line(
        f"  {found['calls']} calls, {found['errors']} errors, {found['refused']} refused;"
        f" p50 {ms_words(found['p50_ms'])}, p99 {ms_words(found['p99_ms'])}"
    )
    if found["live"] is not None:
        print_line(f"  followed: {live_words(found['live'])}")
    if found["last_error"] is not None:
        print_line(f"  last error {found['last_error']['at']} {error_words(found['last_error'])}")
    if found["last_calls"]:
        print_line("")
        print_table(
            ["AT", "USER", "CAUSE", "MS", "WAITED", "READ", "WROTE", "OUTCOME"],
            [
                [one["at"], one["user"], one["cause"], one["ms"], one["wait_ms"],
                 one["rows_read"], one["rows_written"], outcome_words(one)]
                for one in found["last_calls"][:20]
            ],
        )  # fmt: skip
    for call in found["slow_calls"][:3]:
        _print_slow(call)


def _print_slow(call: dict[str, Any]) -> None:
    print_line("")
    what = "slow" if call["followers"] is None else f"slow run for {call['followers']} followers"
    print_line(f"{what}: {call['at']} ran {call['run_ms']:g} ms, {call['statements']} statements")
    for one in call["slowest"][:5]:
        done = f"{counted(one['count'], 'time')}, {counted(one['rows'], 'row')}"
        print_line(f"  {one['ms']:g} ms, {done}: {one['sql']}")
        for step in one["plan"]:
            print_line(f"    {step}")
