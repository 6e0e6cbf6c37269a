"""`pylon sql`: one statement that reads the running app's database, with its plan and its time."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from pylon import limits_data
from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.printable import counted

_STDIN: Final = "-"


@click.command(short_help="Read the database by one SQL statement.")
@click.argument("statement")
@click.option("--plan", is_flag=True, help="Print the plan, too.")
@click.option(
    "--limit", default=100, show_default=True,
    type=click.IntRange(1, limits_data.SQL_ROWS_MAX), help="Rows at most.",
)  # fmt: skip
@project_option
@json_option
def sql(statement: str, plan: bool, limit: int, project_path: str | None, as_json: bool) -> None:
    """Run STATEMENT (one SELECT, WITH or EXPLAIN; - reads it from stdin) and print what it finds.

    Nothing is ever changed by it. Private fields are shown: it is your own data. ctrl+c stops it.
    Example: pylon sql 'SELECT authorId, count(*) FROM Message GROUP BY 1' --plan
    """
    text = sys.stdin.read() if statement == _STDIN else statement
    body = {"sql": text, "limit": limit, "plan": plan}
    found = ask_path(project_path, "POST", "admin/sql", body)
    if as_json:
        print_json(found)
        return
    if found["columns"]:
        print_table(found["columns"], found["rows"])
    if found["plan"]:
        print_line("")
        for line in plan_lines(found["plan"]):
            print_line(line)
    say(told(found))


def plan_lines(plan: list[Any]) -> list[str]:
    """Return a plan as indented lines."""
    return [f"{'  ' * depth}{text}" for depth, text in plan]


def told(found: dict[str, Any]) -> str:
    """Return what is said of an answer: how many rows, how long, and what was left out."""
    words = [f"{counted(len(found['rows']), 'row')}{' and more' if found['more'] else ''}"]
    words.append(f"{found['ms']:g} ms")
    if found["cut"]:
        words.append(f"{found['cut']} long cells cut")
    return " · ".join(words)
