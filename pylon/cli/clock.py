"""`pylon clock`: the time that the running app lives in, and jumps through it (development)."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any, Final

import click

from pylon.cli.output import CommandFailed, print_json, print_line, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import ahead_text

_LOOK_SECONDS: Final = 0.25
_PATH: Final = "admin/clock"


@click.command(short_help="Show the time of the app, and warp it.")
@click.argument("when", default="show")
@project_option
@json_option
def clock(when: str, project_path: str | None, as_json: bool) -> None:
    """Show the time that the running app lives in, or jump: under `pylon dev` only.

    WHEN is `show`, `next` (to what is due next), `+7d`, `+1h30m`, a time with its zone,
    `stop` (where a jump has come to) or `reset` (back to the machine's time).

    On the way everything that is due runs, each at its time.
    """

    async def ask(admin: AdminClient) -> dict[str, Any]:
        if when == "show":
            return await admin.get(_PATH)
        return await _move(admin, when)

    try:
        found = ask_runtime(find_project(project_path), ask)
    except AdminError as error:
        if error.code in ("NOT_FOUND", "METHOD_NOT_ALLOWED"):
            raise CommandFailed(
                "this runtime has no clock to warp", "that is a power of `pylon dev`"
            ) from error
        if error.code == "INVALID_ARGUMENT":
            hint = f"; {error.hint}" if error.hint else ""
            raise click.UsageError(f"{error.message}{hint}") from error
        raise
    if as_json:
        print_json(found)
    else:
        _show(found, when)
    last = found["last"] or {}
    if when not in ("show", "reset") and last.get("stopped"):
        raise CommandFailed(f"the clock did not get there: {last['stopped']}")


async def _move(admin: AdminClient, when: str) -> dict[str, Any]:
    """Jump; tells on stderr how far it has come. Interrupted, it has the jump stop there."""
    moving = asyncio.ensure_future(admin.post(_PATH, {"to": when}))
    try:
        while not moving.done():
            _ = await asyncio.wait([moving], timeout=_LOOK_SECONDS)
            if not moving.done():
                _tell(await admin.get(_PATH))
        found = moving.result()
        while found["journey"] is not None:
            _tell(found)
            await asyncio.sleep(_LOOK_SECONDS)
            found = await admin.get(_PATH)
    except asyncio.CancelledError:
        _ = moving.cancel()
        with suppress(AdminError):
            _ = await admin.post(_PATH, {"to": "stop"})
        raise
    _wipe()
    return found


def _tell(found: dict[str, Any]) -> None:
    journey = found["journey"]
    if journey is not None and sys.stderr.isatty():
        ran = sum(journey["ran"].values())
        sys.stderr.write(f"\r\x1b[K{found['now']}  {ran} ran  (Ctrl+C stops here)")
        sys.stderr.flush()


def _wipe() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


def _show(found: dict[str, Any], when: str) -> None:
    ahead = ahead_text(found["offset_ms"])
    print_line(f"now     {found['now']}  ({ahead or 'the time of this machine'})")
    due = found["next"]
    print_line(f"next    {'nothing waits' if due is None else due['at'] + '  ' + due['name']}")
    last = found["last"] if when not in ("show", "reset", "stop") else None
    if last is not None:
        print_line(f"ran     {_ran(last)}")
        if last["ran_on"]:
            say(f"took too long for its moment and runs on: {', '.join(last['ran_on'])}")
    if when == "reset":
        say("slots that had their run have no second one; a restart counts slots from now on")
    journey = found["journey"]
    if journey is not None:
        say(f"on its way to {journey['to'] or 'what is due next'}")


def _ran(last: dict[str, Any]) -> str:
    failed = last["failed"]
    parts = [
        f"{name} {count}{f' ({failed[name]} failed)' if failed.get(name) else ''}"
        for name, count in sorted(last["ran"].items())
    ]
    return ", ".join(parts) or "nothing"
