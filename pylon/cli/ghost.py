"""`pylon ghost`: a headless client as somebody else, frame by frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from pylon.cli.output import CommandFailed, print_json, print_line
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient
from pylon.clock import SystemClock

if TYPE_CHECKING:
    from pylon.client.ghost import Frame, Ghost

_LIVE_SECONDS = 60.0
#: Characters of a row in a line; --json has all of it.
_ROW_TEXT_MAX = 160


@click.command(short_help="Watch what a user's client would get.")
@click.option("--as", "user", required=True, metavar="USER", help="Whose eyes: or `anonymous`.")
@click.option(
    "--cursor", metavar="CURSOR", help="Where this client stands: EPOCH:SEQ, or a number."
)
@click.option("--entity", "entities", multiple=True, help="Only this entity; may be given again.")
@click.option("--rows", "with_rows", is_flag=True, help="Print the rows that it holds at the end.")
@click.option("--no-follow", is_flag=True, help="Stop when it has caught up.")
@project_option
@json_option
def ghost(
    user: str, cursor: str | None, entities: tuple[str, ...], with_rows: bool, no_follow: bool,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Follow the running app as USER, print each frame, and at the end what the replica holds.

    It reads only, has no session, and stands in the runtime's log. With --cursor it gets what came
    after, as a client would that was away since then. Ctrl+C stops.
    """
    from pylon.client.ghost import Ghost

    def show(frame: Frame) -> None:
        if as_json:
            print_json({"at": frame.at, "frame": frame.value})
        else:
            _print_frame(frame)

    async def follow(admin: AdminClient) -> None:
        one = Ghost(admin, user, SystemClock(), show)
        try:
            await one.open(cursor=cursor, entities=entities)
            try:
                await _until_over(one, is_endless=not no_follow)
            finally:
                _print_replica(one, with_rows=with_rows, as_json=as_json)
        finally:
            await one.close()

    ask_runtime(find_project(project_path), follow)


async def _until_over(one: Ghost, *, is_endless: bool) -> None:
    if is_endless:
        await asyncio.Event().wait()
    try:
        await one.live(_LIVE_SECONDS)
    except TimeoutError:
        raise CommandFailed(
            f"it did not catch up within {_LIVE_SECONDS:.0f} s", "the frames above say how far"
        ) from None


def _print_frame(frame: Frame) -> None:
    from pylon.client.frames_text import change_words, frame_words

    kind, words = frame_words(frame.message)
    print_line(f"{frame.at[11:23]}  {kind:<9} {words}")
    for change in frame.value.get("changes", ()):
        seq, what, entity, row_id, row = change_words(change)
        cut = row if len(row) <= _ROW_TEXT_MAX else f"{row[:_ROW_TEXT_MAX]}…"
        print_line(f"{'':12}  {seq:>9} {what:<6} {entity} {row_id} {cut}")


def _print_replica(one: Ghost, *, with_rows: bool, as_json: bool) -> None:
    counts = one.counts()
    if as_json:
        held = {name: one.rows(name) for name in counts} if with_rows else counts
        print_json({"replica": held, "cursor": one.cursor, "state": one.state})
        return
    held_words = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing"
    print_line(f"replica: {held_words} (rows), cursor {one.cursor or 'none'}, {one.state}")
    if with_rows:
        from pylon import jsonvalue

        for name in counts:
            for row in one.rows(name):
                print_line(f"{name} {jsonvalue.encode_text(row)}")
