"""`pylon tail` and `pylon cursors`: what the dashboard's Log and Clients show, in lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click

from pylon.cli.output import print_json, print_line, print_table
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient

_RECONNECT_SECONDS = 0.5


@click.command(short_help="Print the change log as it grows.")
@click.option(
    "--since",
    type=click.IntRange(0),
    metavar="SEQ",
    help="Begin after this seq; 0: from the start.",
)
@click.option(
    "--lines", "-n", default=20, show_default=True, type=click.IntRange(0, 1_000),
    help="Changes to begin with.",
)  # fmt: skip
@click.option("--entity", help="Only changes of this entity.")
@click.option("--no-follow", is_flag=True, help="Print what is there and stop.")
@project_option
@json_option
def tail(
    since: int | None, lines: int, entity: str | None, no_follow: bool,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Print the change log, and go on as it grows. Ctrl+C stops.

    No change is left out and none comes twice: the cursor is kept here, not in the runtime.
    """

    def show(change: dict[str, Any]) -> None:
        if entity is not None and change["entity"] != entity:
            return
        if as_json:
            print_json(change)
        else:
            print_line(
                f"{change['at'][11:23]}  {change['seq']:>8}  {change['kind']:<6}  "
                f"{change['entity']:<16}  {change['row_id']}  {change['user'] or 'system'}"
            )

    async def follow(admin: AdminClient) -> None:
        async for change in _changes(admin, since, lines, is_endless=not no_follow):
            show(change)

    ask_runtime(find_project(project_path), follow)


async def _changes(
    admin: AdminClient, since: int | None, lines: int, *, is_endless: bool
) -> AsyncIterator[dict[str, Any]]:
    """Yield changes by paging through the log; the stream only says when to look again."""
    if since is None:
        page = await admin.get("admin/log", limit=max(1, lines))
        for change in page["changes"][-lines:] if lines > 0 else []:
            yield change
        since = page["head"]
    while True:
        page = await admin.get("admin/log", after=since, limit=1_000)
        for change in page["changes"]:
            since = change["seq"]
            yield change
        if page["changes"]:
            continue
        if not is_endless:
            return
        async for message in admin.stream():
            if message["type"] == "changes" and any(
                one["seq"] > since for one in message["changes"]
            ):
                break
        else:
            await asyncio.sleep(_RECONNECT_SECONDS)


@click.command(short_help="Show every client and how far it has come.")
@click.argument("client", required=False)
@click.option("--unseen", is_flag=True, help="List the changes that CLIENT has not stored yet.")
@project_option
@json_option
def cursors(client: str | None, unseen: bool, project_path: str | None, as_json: bool) -> None:
    """Show every client that is connected or was: user, state, cursor, lag, last seen.

    With CLIENT only that one; with --unseen the changes it has not stored yet.
    """
    if unseen and client is None:
        raise click.UsageError("--unseen needs a CLIENT: pylon cursors CLIENT --unseen")
    found = ask_runtime(find_project(project_path), lambda admin: _cursors(admin, client, unseen))
    if as_json:
        print_json(found)
    elif unseen:
        print_table(
            ["SEQ", "KIND", "ENTITY", "ROW", "USER"],
            [
                [one["seq"], one["kind"], one["entity"], one["row_id"], one["user"] or "system"]
                for one in found
            ],
        )
    else:
        print_table(
            ["STATE", "USER", "CURSOR", "LAG", "QUEUED", "LAST SEEN", "CLIENT"],
            [
                [one["state"], one["email"] or "anonymous", one["cursor"], one["lag_changes"],
                 one["queued_bytes"], one["last_seen"], one["client_id"]]
                for one in found
            ],
        )  # fmt: skip


async def _cursors(admin: AdminClient, client: str | None, unseen: bool) -> list[dict[str, Any]]:
    from pylon.errors import NotFound

    rows: list[dict[str, Any]] = (await admin.get("admin/clients"))["clients"]
    if client is None:
        return rows
    rows = [one for one in rows if one["client_id"] == client]
    if not rows:
        raise NotFound(f"there is no client {client}", hint="`pylon cursors` lists them")
    if not unseen:
        return rows
    seq = min(int(str(one["cursor"] or "0").rpartition(":")[2]) for one in rows)
    page = await admin.get("admin/log", after=seq, limit=1_000)
    changes: list[dict[str, Any]] = page["changes"]
    return changes
