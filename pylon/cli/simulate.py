"""`pylon simulate`: random users on the project's own app, and what they find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_argument

if TYPE_CHECKING:
    from pylon.testing.simulation.campaign import Bench, Result
    from pylon.testing.simulation.maker import Plan
    from pylon.testing.simulation.script import Script

_SEEDS = 50


@click.command(short_help="Run the app with random users, badly.")
@project_argument
@click.option("--seeds", type=click.IntRange(1), default=_SEEDS, help="How many runs.")
@click.option("--seed", type=click.IntRange(0), help="Play this one run, and say what happens.")
@click.option("--first", type=click.IntRange(0), help="The first seed; by default a random one.")
@click.option("--as", "emails", multiple=True, metavar="EMAIL", help="Who takes part.")
@click.option("--steps", type=click.IntRange(1, 1000), default=40, help="Steps of a run, about.")
@click.option("--seconds", type=click.FloatRange(0), help="Begin no run after so long.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep what fails as a pytest file.")
@json_option
def simulate(
    path: str | None, seeds: int, seed: int | None, first: int | None, emails: tuple[str, ...],
    steps: int, seconds: float | None, save: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run the app at PATH with random users, in virtual time, over a bad network.

    They write rows that fit the schema, call the app's mutations, change roles, lose connections,
    are killed and come back; policies are edited, users disabled, the server crashes. Every
    replica must be what its user may see, no private field may leave, nothing acknowledged may be
    lost. What fails is shrunk to a short script. The project's own data is not touched.
    """
    from pylon.testing.simulation.campaign import Bench
    from pylon.testing.simulation.maker import EVERYDAY, Plan

    root = find_project(path)
    plan = Plan(weights=EVERYDAY, steps=steps, emails=emails)
    bench = Bench(root)
    if not as_json:
        for line in _limits(bench):
            say(line)
    if seed is not None:
        _replay(bench, seed, plan, save, path or ".", as_json=as_json)
        return
    if first is None:
        first = int.from_bytes(_random_bytes())
    results, failed = _campaign(root, range(first, first + seeds), plan, seconds)
    if failed is not None:
        _fail(bench, bench.script(failed.seed, plan), save, path or ".", as_json=as_json)
    _succeed(bench, results, as_json=as_json)


def _random_bytes() -> bytes:
    import os

    return os.urandom(3)


def _campaign(
    root: Path, seeds: range, plan: Plan, seconds: float | None
) -> tuple[list[Result], Result | None]:
    """Return all results, or those up to the first that failed, and that one."""
    from pylon.testing.simulation.campaign import run_seeds

    results: list[Result] = []
    for result in run_seeds(root, seeds, plan, seconds=seconds):
        results.append(result)
        if result.outcome.finding is not None:
            return results, result
    return results, None


def _limits(bench: Bench) -> list[str]:
    """Return what the run can't look at, in words."""
    from pylon.testing.simulation.maker import unreachable
    from pylon.testing.simulation.visibility import timed

    said = [f"not written: {line}" for line in unreachable(bench.definition)]
    if names := timed(bench.definition):
        said.append(f"{', '.join(names)}: shown or hidden as time passes, and not compared")
    return said


def _replay(
    bench: Bench, seed: int, plan: Plan, save: Path | None, app: str, *, as_json: bool
) -> None:
    script = bench.script(seed, plan)
    outcome = bench.play(script, None if as_json else print_line)
    if outcome.finding is not None:
        _fail(bench, script, save, app, as_json=as_json)
    if as_json:
        print_json({"ok": True, "seed": seed, "changes": outcome.changes})
    else:
        print_line(f"seed {seed}: every promise held")


def _fail(bench: Bench, script: Script, save: Path | None, app: str, *, as_json: bool) -> None:
    from pylon import jsonvalue
    from pylon.testing.simulation.saved import pytest_file

    say(f"seed {script.seed} failed; looking for the shortest script that still does")
    short = bench.shrink(script)
    finding = bench.play(short).finding
    assert finding is not None
    if as_json:
        print_json({
            "ok": False, "seed": script.seed, "promise": finding.promise,
            "message": finding.message, "script": jsonvalue.decode_trusted(jsonvalue.encode(short)),
        })  # fmt: skip
    else:
        for actor in short.actors:
            roles = f", roles {', '.join(actor.roles)}" if actor.roles else ""
            print_line(f"{actor.name}: {actor.email or 'not signed in'}{roles}")
        for place, step in enumerate(short.steps, 1):
            print_line(f"{place:3} {jsonvalue.encode_text(step)}")
    if save is not None:
        save.write_text(pytest_file(short, finding, app), encoding="utf-8")
        say(f"kept as {save}; run it with pytest")
    raise CommandFailed(
        f"{finding.promise}: {finding.message}",
        f"once more, aloud: pylon simulate {app} --seed {script.seed}"
        + ("" if save is not None else "; --save test_found.py keeps it"),
    )


def _succeed(bench: Bench, results: list[Result], *, as_json: bool) -> None:
    seeds = [one.seed for one in results]
    total: dict[str, Any] = {
        "ok": True, "app": bench.definition.name, "seeds": len(seeds),
        "first": min(seeds, default=None),
        "changes": sum(one.outcome.changes for one in results),
        "operations": sum(one.outcome.operations for one in results),
        "rows_on_wire": sum(one.outcome.rows_on_wire for one in results),
        "replicas_checked": sum(one.outcome.replicas_checked for one in results),
    }  # fmt: skip
    if as_json:
        print_json(total)
        return
    print_line(
        f"{total['seeds']} seeds from {total['first']}: every promise held"
        f" ({total['operations']} operations, {total['changes']} changes,"
        f" {total['rows_on_wire']} rows on the wire, {total['replicas_checked']} replicas compared)"
    )
