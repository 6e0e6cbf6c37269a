"""`pylon doctor`: what deserves a look, why it matters, and what mends it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click

from pylon.cli.output import EXIT_FAILED, CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_argument
from pylon.clock import SystemClock
from pylon.supervisor.registry import running_runtime

_SIGNS = {"error": "✗", "warning": "!", "note": "·"}


@click.command(short_help="Say what is wrong here, and what mends it.")
@project_argument
@click.option("--fix", "is_fixing", is_flag=True, help="Mend what can be mended without a loss.")
@click.option("--app", "with_app", is_flag=True, help="Load the app, too: runs its code.")
@click.option("--production", is_flag=True, help="Judge as for `pylon serve`.")
@click.option("--attach", "url", metavar="URL", help="A runtime elsewhere (PYLON_ADMIN_TOKEN).")
@json_option
def doctor(
    path: str | None, is_fixing: bool, with_app: bool, production: bool, url: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Look at the machine, the terminal and the project at PATH; none of its code runs.

    Each finding says what, where, why it matters, and what to do. Exits 1 where there is an error
    or a warning, 0 where there are at most notes.
    """
    if url is not None:
        found = asyncio.run(_remote(url))
        return _report(found, [], as_json=as_json)
    project = find_project(path)
    findings = asyncio.run(_here(project, with_app=with_app, production=production))
    mended: list[str] = []
    if is_fixing:
        for one in findings:
            if one.mend is not None:
                one.mend()
                mended.append(f"{one.kind}: {one.fix}")
        findings = asyncio.run(_here(project, with_app=with_app, production=production))
    return _report([one.to_json() for one in findings], mended, as_json=as_json)


async def doctor_findings(project: Path) -> list[dict[str, Any]]:
    """Return what deserves a look in a project, as JSON; none of its code runs."""
    return [one.to_json() for one in await _here(project, with_app=False, production=False)]


async def _here(project: Path, *, with_app: bool, production: bool) -> list[Any]:
    from pylon.cli.address import settings_of
    from pylon.cli.doctor_checks import entry_findings, port_findings, this_terminal
    from pylon.errors import ConfigError
    from pylon.server.doctor.examine import examine
    from pylon.server.doctor.findings import sorted_by_level
    from pylon.supervisor.claim import supervised

    running = running_runtime(project)
    is_production = production or (running is not None and running.mode == "serve")
    policies, found = await _loaded(project) if with_app else (None, [])
    found += await examine(
        project, SystemClock(), is_production=is_production, is_running=running is not None,
        policies=policies,
    )  # fmt: skip
    found += this_terminal()
    found += entry_findings()
    try:
        config = settings_of(project)
    except ConfigError:
        return sorted_by_level(found)  # among the findings
    # Who supervises it holds its port while the runtime sleeps, or is just starting anew.
    own = running or supervised(project)
    pid = None if own is None else own.pid
    found += port_findings(config["server.host"], config["server.port"], pid)
    return sorted_by_level(found)


async def _loaded(project: Path) -> tuple[list[dict[str, Any]] | None, list[Any]]:
    """Load the app in a process of its own; returns rows of its policies, or why it fails."""
    from pylon.jsonvalue import decode_trusted
    from pylon.server.doctor.findings import ERROR, Finding

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "pylon", "policies", str(project), "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode == 0:
        return list(decode_trusted(out)["rows"]), []
    said = err.decode("utf-8", "replace").strip().removeprefix("pylon: ")
    finding = Finding(
        kind="app-broken", level=ERROR, what=said.partition("\n")[0], where="app.py",
        why="the app does not load", fix="mend it; `pylon check` says all mistakes",
    )  # fmt: skip
    return None, [finding]


async def _remote(url: str) -> list[dict[str, Any]]:
    from pylon.cli.doctor_checks import remote_findings, this_terminal

    if not url.startswith(("http://", "https://")):
        raise click.UsageError("--attach: URL begins with http:// or https://")
    token = os.environ.get("PYLON_ADMIN_TOKEN")
    if not token:
        raise CommandFailed("there is no admin token", "set PYLON_ADMIN_TOKEN")
    found = await remote_findings(url.rstrip("/"), token, SystemClock())
    return [*found, *(one.to_json() for one in this_terminal())]


def _report(found: list[dict[str, Any]], mended: list[str], *, as_json: bool) -> int:
    counts = {
        level: sum(one["level"] == level for one in found) for level in ("error", "warning", "note")
    }
    if as_json:
        print_json({"findings": found, "mended": mended, "counts": counts})
    else:
        for line in mended:
            say(f"mended {line}")
        for one in found:
            print_line(f"{_SIGNS[one['level']]} {one['level']}: {one['what']}")
            print_line(f"    where  {one['where']} [{one['kind']}]")
            print_line(f"    why    {one['why']}")
            print_line(f"    fix    {one['fix']}" + (" (--fix does it)" if one["can_fix"] else ""))
        said = ", ".join(
            f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items()
        )
        say(said)
    return EXIT_FAILED if counts["error"] or counts["warning"] else 0
