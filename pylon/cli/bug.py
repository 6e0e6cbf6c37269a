"""`pylon bug`: one file that replays a problem on another machine, without what people wrote."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any, Final

import click

from pylon.cli.files import size_text
from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.progress import Waiting
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import local_admin
from pylon.client.admin import AdminError
from pylon.clock import SystemClock
from pylon.printable import counted
from pylon.supervisor.registry import running_runtime

_DURATION: Final = re.compile(r"(\d{1,6})(s|m|h|d)\Z", re.ASCII)
_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RANGE: Final = re.compile(r"(\d{1,15}):(\d{1,15})\Z", re.ASCII)
_SEQ: Final = re.compile(r"\d{1,15}\Z", re.ASCII)
_CALLS: Final = 50
_LEFT_OUT_SHOWN: Final = 12


@click.group(
    invoke_without_command=True, short_help="Put a problem into one file; replay one.",
)  # fmt: skip
@click.option(
    "--since", metavar="SEQ|DURATION", help="From this change on, or the last 15m, 2h, 1d."
)
@click.option("--range", "span", metavar="A:B", help="The changes A to B.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where to write it (default: NAME-bug-TIME.zip here).")  # fmt: skip
@click.option("--keep", multiple=True, metavar="ENTITY.FIELD",
              help="Leave the values of this field as they are; repeatable.")  # fmt: skip
@click.option("--no-code", is_flag=True, help="Without the app's code.")
@project_option
@json_option
@click.pass_context
def bug(
    ctx: click.Context, since: str | None, span: str | None, out: Path | None,
    keep: tuple[str, ...], no_code: bool, project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write a file that replays a problem elsewhere: changes, the rows they start from, code, log.

    Texts that people wrote become others of the same shape; secrets, tokens, mails and files are
    never in it. Without --since and --range it has the newest changes. Look at it before you
    send it: `pylon bug show FILE`.
    """
    if ctx.invoked_subcommand is not None:
        if any((since, span, out, keep, no_code, project_path, as_json)):
            raise click.UsageError(f"options stand behind {ctx.invoked_subcommand}")
        return
    clock = SystemClock()
    asked = _asked(since, span, clock.now_ms(), keep, with_code=not no_code)
    project = find_project(project_path)
    made = asyncio.run(_make(project, asked, clock))
    target = out or _free_name(project, clock)
    size = _write(target, made.parts)
    told = {"file": str(target), "bytes": size, **made.about}
    if as_json:
        print_json(told)
        return
    _report(told)


def _asked(
    since: str | None, span: str | None, now_ms: int, keep: tuple[str, ...], *, with_code: bool
) -> Any:
    from pylon.server.bugs.report import Asked

    if since is not None and span is not None:
        raise click.UsageError("--since or --range, not both")
    first, since_ms, last = None, None, None
    if span is not None:
        found = _RANGE.match(span)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise click.UsageError("--range is A:B, two numbers of changes: 4700:4711")
        first, last = int(found[1]), int(found[2])
    elif since is not None:
        duration = _DURATION.match(since)
        if duration is not None:
            since_ms = now_ms - int(duration[1]) * _MS[duration[2]]
        elif _SEQ.match(since) and int(since) >= 1:
            first = int(since)
        else:
            raise click.UsageError(
                "--since is the number of a change, or a time such as 15m, 2h, 1d"
            )
    return Asked(since=first, since_ms=since_ms, last=last, keep=keep, with_code=with_code)


async def _make(project: Path, asked: Any, clock: SystemClock) -> Any:
    from pylon.cli.doctor import doctor_findings
    from pylon.server.bugs.report import Looked, make_report

    looked = Looked(doctor=await doctor_findings(project), **await _runtime(project))
    with Waiting(f"collecting from {project.name}", ends="it")():
        return await make_report(
            project, asked, looked, now_ms=clock.now_ms(), environment=dict(os.environ)
        )


async def _runtime(project: Path) -> dict[str, Any]:
    """Return what a running runtime says; nothing where none runs. Says where one is silent."""
    if running_runtime(project) is None:
        return {}
    admin = local_admin(project)
    try:
        health = await admin.get("admin/health")
        policies = (await admin.get("admin/policies"))["rows"]
        functions = await admin.get("admin/functions")
        calls: list[Any] = []
        for one in functions["functions"]:
            if one.get("errors") or one.get("refused"):
                path = f"admin/functions/{admin.quoted(one['name'])}"
                calls += (await admin.get(path))["last_calls"]
        failed = [one for one in calls if one.get("code")]
        failed.sort(key=lambda one: str(one["at"]))
        health.pop("samples", None)
        return {"health": health, "policies": policies, "calls": failed[-_CALLS:]}
    except (AdminError, OSError) as error:
        say(f"the runtime does not answer: without its health, policies and calls ({error})")
        return {}
    finally:
        await admin.close()


def _free_name(project: Path, clock: SystemClock) -> Path:
    from pylon.clock import iso_ms

    stamp = iso_ms(clock.now_ms())[:19].replace("-", "").replace(":", "").replace("T", "-")
    return Path(f"{project.name}-bug-{stamp}.zip")


def _write(target: Path, parts: dict[str, str]) -> int:
    from pylon.server.bugs.archive import packed, write

    data = packed(parts)
    try:
        write(target, data)
    except FileExistsError as error:
        raise CommandFailed(f"{target} is there already", "choose another name: --out") from error
    except OSError as error:
        raise CommandFailed(
            f"{target} can't be written: {error.strerror}", "--out names another place"
        ) from error
    return len(data)


def _report(told: dict[str, Any]) -> None:
    span = f"changes {told['from']} to {told['to']}" if told["changes"] else "no changes"
    print_line(f"{told['file']}: {size_text(told['bytes'])}")
    print_line(f"has       {span}, {counted(told['rows'], 'row')} before them,"
               f" {counted(told['accounts'], 'account')}, {counted(told['failures'], 'failure')},"
               f" {counted(told['log_lines'], 'line')} of the log")  # fmt: skip
    print_line(f"code      {', '.join(told['code']) or 'none'}")
    shown = told["left_out"][:_LEFT_OUT_SHOWN]
    for place, one in enumerate(shown):
        print_line(f"{'left out' if place == 0 else '':<10}{one}")
    if len(told["left_out"]) > len(shown):
        print_line(f"          and {len(told['left_out']) - len(shown)} more: see its README.txt")
    say(f"look before you send it: pylon bug show {told['file']} [PART]")


@bug.command("show", short_help="Show what a file has, or one part of it.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("part", required=False)
@json_option
def show(file: Path, part: str | None, as_json: bool) -> None:
    """Show the parts of FILE with their sizes, or the text of PART; nothing of it runs."""
    from pylon.server.bugs.archive import opened

    parts = opened(file)
    if part is not None:
        if part not in parts:
            raise CommandFailed(f"{file} has no {part}", f"it has: {', '.join(parts)}")
        if as_json:
            print_json({"part": part, "text": parts[part]})
        else:
            print_line(parts[part].rstrip("\n"))
        return
    sizes = {name: len(text.encode()) for name, text in parts.items()}
    if as_json:
        print_json({"file": str(file), "parts": sizes})
        return
    for name, size in sizes.items():
        print_line(f"{size_text(size):>10}  {name}")


@bug.command("replay", short_help="Make a project of a file, and replay its changes.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), metavar="DIR",
              help="A folder that is absent or empty (default: the app's name).")  # fmt: skip
@click.option("--yes", is_flag=True, help="Take the code of the file without being asked.")
@click.option("--no-code", is_flag=True, help="An app made of the schema instead of its code.")
@json_option
def replay(file: Path, into: Path | None, yes: bool, no_code: bool, as_json: bool) -> int:
    """Make a project of FILE, do its changes again on a fresh database, and compare.

    It says `same`, or the first difference (exit code 1). None of the file's code runs here; it
    does when you open the project, so you are asked before it is put there.
    """
    from pylon.cli.bug_replay import replayed

    if yes and no_code:
        raise click.UsageError("--yes or --no-code, not both")
    return replayed(file, into, takes_code=True if yes else False if no_code else None,
                    as_json=as_json)  # fmt: skip
