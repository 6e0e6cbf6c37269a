"""`pylon tail` and `pylon cursors`: what the dashboard's Log and Clients show, in lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import click

from pylon.cli.output import print_json, print_line, print_table, say
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient
from pylon.client.clients_text import network_words, next_words, subscription_words, unseen_words
from pylon.client.frames_text import change_words

_RECONNECT_SECONDS = 0.5
#: Characters of a row in a line; --json has all of it.
_ROW_TEXT_MAX = 160


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
            print_line(change_line(change))

    async def follow(admin: AdminClient) -> None:
        async for change in _changes(admin, since, lines, is_endless=not no_follow):
            show(change)

    ask_runtime(find_project(project_path), follow)


def change_line(change: dict[str, Any]) -> str:
    """Return a change of the log as a line."""
    return (
        f"{change['at'][11:23]}  {change['seq']:>8}  {change['kind']:<6}  "
        f"{change['entity']:<16}  {change['row_id']}  {change['user'] or 'system'}"
        f"  {change.get('effect', '')}"
    )


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
    """Show every client that is connected or was: user, state, cursor, lag, round trip.

    With CLIENT all about that one: its subscriptions, what waits, what it gets next. --unseen lists
    the changes that it has not stored yet, as its user may see them.
    """
    if unseen and client is None:
        raise click.UsageError("--unseen needs a CLIENT: pylon cursors CLIENT --unseen")
    project = find_project(project_path)
    if client is None:
        rows = ask_runtime(project, lambda admin: admin.get("admin/clients"))["clients"]
        print_json(rows) if as_json else print_clients(rows)
        return
    path = f"admin/clients/{AdminClient.quoted(client)}"
    found = ask_runtime(project, lambda admin: admin.get(path))
    if unseen:
        print_unseen(found["unseen"], as_json=as_json)
    else:
        print_json(found) if as_json else print_client(found)


def print_clients(rows: list[dict[str, Any]]) -> None:
    """Print clients as a table."""
    print_table(
        ["STATE", "USER", "CURSOR", "LAG", "QUEUED", "PENDING", "TRIP", "LAST SEEN", "CLIENT"],
        [
            [_state(one), one["email"] or "anonymous", one["cursor"], one["lag_changes"],
             one["queued_bytes"], one["pending"], _trip(one), one["last_seen"][:19],
             one["client_id"]]
            for one in rows
        ],
    )  # fmt: skip


def print_unseen(unseen: dict[str, Any], *, as_json: bool) -> None:
    """Print the changes that a client has not stored yet."""
    if "resync" in unseen:
        words = f"it starts over: {unseen['resync']} (it stands at {unseen['after']})"
        print_json(unseen) if as_json else print_line(words)
        return
    if as_json:
        print_json(unseen["changes"])
    for change in unseen["changes"] if not as_json else ():
        seq, kind, entity, row_id, what = change_words(change)
        cut = what if len(what) <= _ROW_TEXT_MAX else f"{what[:_ROW_TEXT_MAX]}…"
        print_line(f"{seq:>9}  {kind:<6}  {entity:<16}  {row_id}  {cut}")
    if unseen["more"]:
        say(f"there is more after {unseen['through']}")


def print_client(found: dict[str, Any]) -> None:
    """Print all about a client."""
    one, unseen = found["client"], found["unseen"]
    lines = [
        ("client", f"{one['client_id']} ({one['connection_id'] or 'not connected'})"),
        ("user", one["email"] or "anonymous"),
        ("state", _state(one)),
        ("cursor", f"stored {one['cursor']}, sent {one['sent'] or '-'}"),
        ("queue", f"{one['queued_bytes']} bytes"),
        ("round trip", _trip(one) or "not measured"),
        ("pending", "not reported" if one["pending"] is None else str(one["pending"])),
        ("last seen", one["last_seen"]),
    ]
    lines += [("subscription", subscription_words(one)) for one in one["subscriptions"]]
    if one.get("network") is not None:
        lines.append(("network", network_words(one["network"])))
    lines += [("unseen", unseen_words(unseen)), ("next", next_words(found["next"]))]
    for name, text in lines:
        print_line(f"{name:<12}  {text}")


def _state(one: dict[str, Any]) -> str:
    return "ghost" if one.get("is_ghost") else str(one["state"])


def _trip(one: dict[str, Any]) -> str | None:
    return None if one.get("round_trip_ms") is None else f"{one['round_trip_ms']} ms"
