"""`pylon policies`: who may do what, in words, and what there is to notice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from pylon.cli.app_output import read_app
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_argument

if TYPE_CHECKING:
    from pylon.app.matrix import Matrix, MatrixRow

_WIDTH = 16


@click.command(short_help="Print who may do what, in words.")
@project_argument
@click.option(
    "--coverage", "with_coverage", is_flag=True, help="Which branches the last run ever took."
)
@json_option
def policies(path: str | None, with_coverage: bool, as_json: bool) -> None:
    """Print the matrix of entity and access with each policy in words, and flags.

    `!` is worth a look, `·` is good to know, `?` could be neither proved nor disproved. Roles in
    use are read from the database, where there is one; nothing is written.
    """
    from pylon.app.matrix import build_matrix
    from pylon.app.policy_coverage import FILE_NAME, coverage_of, read_coverage
    from pylon.server.offline import granted_roles

    project = find_project(path)
    definition = read_app(project)
    matrix = build_matrix(definition, asyncio.run(granted_roles(project)))
    stored = read_coverage(project / ".pylon" / FILE_NAME) if with_coverage else None
    if with_coverage and stored is None:
        raise CommandFailed(
            f"nothing was counted in {project.name} yet",
            "run `pylon dev --policy-coverage`, or your tests with PYLON_POLICY_COVERAGE=1",
        )
    if as_json:
        found = matrix.to_json()
        if with_coverage:
            for row, one in zip(found["rows"], matrix.rows, strict=True):
                row["coverage"] = coverage_of(stored, one.key, one.policy)
        print_json(found)
        return
    _print(matrix, stored)


def _print(matrix: Matrix, stored: dict[str, Any] | None) -> None:
    from pylon.app.policy_coverage import coverage_of
    from pylon.policy.coverage_words import coverage_words

    if stored is not None:
        say(f"coverage of the run that ended, or was written, at {stored['at']}")
    width = max([_WIDTH, *(len(row.subject) for row in matrix.rows)])
    for row in matrix.rows:
        print_line(f"{row.subject:<{width}} {row.access:<7} {row.in_words}")
        for line in flag_lines(row):
            print_line(f"{'':<{width + 8}} {line}")
        if stored is not None and row.policy is not None:
            for line in coverage_words(coverage_of(stored, row.key, row.policy)):
                print_line(f"{'':<{width + 8}} {line}")
    if matrix.roles_without_policy:
        roles = ", ".join(matrix.roles_without_policy)
        print_line(f"! roles that accounts have and no policy names: {roles}")


def flag_lines(row: MatrixRow) -> list[str]:
    """Return a line for each flag of a row, with its sign."""
    from pylon.app.matrix import CLOSED, NOTES

    lines = [
        f"{'·' if one.name in NOTES else '!'} {one.name}{f': {one.detail}' if one.detail else ''}"
        for one in row.flags
        if one.name != CLOSED  # its sentence says so
    ]
    if row.not_decided:
        lines.append(f"? not decided: {', '.join(row.not_decided)}")
    return lines
