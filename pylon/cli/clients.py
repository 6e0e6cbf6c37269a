"""`pylon clients`: who is connected to the running app; disconnect, resync, spoil a network."""

from __future__ import annotations

from typing import Any

import click

from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import print_done, print_json
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_path, ask_runtime
from pylon.cli.watching import print_client, print_clients, print_unseen
from pylon.client.admin import AdminClient
from pylon.client.networks import EXAMPLE, network_of


@click.group(
    cls=ListGroup,
    invoke_without_command=True,
    short_help="Show clients; disconnect, resync, spoil a network.",
)
@project_option
@json_option
@click.pass_context
def clients(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show every client of the running app; disconnect one, have it start over.

    `pylon clients` alone is `pylon clients list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@clients.command("list", short_help="List every client and how far it has come.")
@project_option
@json_option
def list_clients(project_path: str | None = None, as_json: bool = False) -> None:
    """List every client that is connected or was: user, state, cursor, lag, round trip."""
    asked = ask_runtime(find_project(project_path), lambda admin: admin.get("admin/clients"))
    print_json(asked["clients"]) if as_json else print_clients(asked["clients"])


@clients.command("show", short_help="Show all about one client.")
@click.argument("client")
@click.option("--unseen", is_flag=True, help="List the changes that it has not stored yet.")
@project_option
@json_option
def show(client: str, unseen: bool, project_path: str | None, as_json: bool) -> None:
    """Show all about CLIENT: its subscriptions, what waits, what it gets next."""
    found = _ask(client, "", project_path)
    if unseen:
        print_unseen(found["unseen"], as_json=as_json)
    else:
        print_json(found) if as_json else print_client(found)


@clients.command("disconnect", short_help="Close a client's connections.")
@click.argument("client")
@project_option
@json_option
def disconnect(client: str, project_path: str | None, as_json: bool) -> None:
    """Close the connections of CLIENT; it comes again by itself."""
    done = _ask(client, "/disconnect", project_path, {})
    print_done(done, f"{done['disconnected']} closed; it comes again by itself", as_json=as_json)


@clients.command("resync", short_help="Have a client start over from a snapshot.")
@click.argument("client")
@project_option
@json_option
def resync(client: str, project_path: str | None, as_json: bool) -> None:
    """Have CLIENT drop its rows and start from a snapshot; its own writes stay."""
    done = _ask(client, "/resync", project_path, {})
    print_done(done, f"{done['resynced']} start over", as_json=as_json)


@clients.command("network", short_help="Spoil a client's network (development).")
@click.argument("client")
@click.argument("shape", nargs=-1)
@project_option
@json_option
def network(
    client: str, shape: tuple[str, ...], project_path: str | None, as_json: bool
) -> None:  # fmt: skip
    """Have the network of CLIENT be late, slow, lossy, offline or asleep; nothing: as it is.

    SHAPE is words such as `latency=200 jitter=50 loss=10% mode=asleep minutes=5`.
    """
    try:
        body = network_of(" ".join(shape))
    except ValueError as error:
        raise click.UsageError(f"{error}; such as {EXAMPLE}") from None
    done = _ask(client, "/network", project_path, body)
    words = "its network is as it is" if done["network"] is None else f"network: {' '.join(shape)}"
    print_done(done, words, as_json=as_json)


def _ask(
    client: str, verb: str, project_path: str | None, body: dict[str, Any] | None = None
) -> Any:  # fmt: skip
    path = f"admin/clients/{AdminClient.quoted(client)}{verb}"
    return ask_path(project_path, "GET" if body is None else "POST", path, body or {})
