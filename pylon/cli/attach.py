"""`pylon attach`: the dashboard against a runtime elsewhere, over https or through ssh."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import urlsplit

import click

from pylon.cli import tokens
from pylon.cli.output import CommandFailed

_TRIES = 3
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@click.command(short_help="Open the dashboard on a runtime elsewhere.")
@click.argument("url")
@click.option("--keep", is_flag=True, help="Keep the token in the system's keyring.")
@click.option("--forget", is_flag=True, help="Remove the token from the keyring, and end.")
@click.option("--check", is_flag=True, help="Only look whether it can be reached; no dashboard.")
@click.option(
    "--remote-pylon",
    metavar="PATH",
    default="pylon",
    help="With ssh://: where pylon is on that machine.",
)
def attach(url: str, keep: bool, forget: bool, check: bool, remote_pylon: str) -> int:
    """Open the dashboard on the runtime at URL: https://HOST, or ssh://[USER@]HOST[:PORT]/PATH.

    For https its admin token (PYLON_ADMIN_TOKEN of that runtime) comes from the environment, the
    keyring, or is asked for. For ssh the system's own ssh finds the project's runtime there, and
    no token is needed. What the dashboard can do here it can do there; production is read-only
    until W unlocks it.
    """
    from pylon.cli.dashboard import demand_terminal

    if url.startswith("ssh://"):
        from pylon.cli.tunnel import attach_by_ssh, place_of

        if keep or forget:
            raise click.UsageError("ssh:// needs no token, so there is none to keep or forget")
        place = place_of(url)
        if not check:
            demand_terminal()
        return attach_by_ssh(place, remote_pylon, is_check=check)
    origin = origin_of(url)
    if forget:
        tokens.forget(origin)
        return 0
    if not check:
        demand_terminal()
    return _attach_with_token(origin, keep=keep, check=check)


def _attach_with_token(origin: str, *, keep: bool, check: bool) -> int:
    from pylon.cli.remote import TokenRefused, show_remote

    token = tokens.token_for(origin)
    for left in reversed(range(_TRIES)):
        try:
            return asyncio.run(
                show_remote(
                    origin, token.value, is_check=check,
                    when_let_in=partial(tokens.keep, origin, token) if keep else _nothing,
                )
            )  # fmt: skip
        except TokenRefused as refused:
            if token.source == "environment":
                hint = f"{tokens.VARIABLE} has another one than the runtime was started with"
                raise CommandFailed(refused.message, hint) from refused
            if token.source == "keyring":
                hint = f"the one in the keyring is old: pylon attach --forget {origin}"
                raise CommandFailed(refused.message, hint) from refused
            if not left:
                raise CommandFailed(refused.message, refused.hint) from refused
            click.echo("that is not the token; once more", err=True)
            token = tokens.ask(origin)
    raise AssertionError("the last try raises or returns")


def _nothing() -> None:
    pass


def origin_of(url: str) -> str:
    """Return scheme, host and port; raises UsageError for what is no address of a runtime.

    A token is sent over plain http to nobody but this machine.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise click.UsageError("URL is no address") from None
    try:
        port = parts.port
    except ValueError:
        raise click.UsageError("the port of URL is no number") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError("URL begins with https:// or ssh://")
    if parts.username is not None or parts.password is not None:
        raise click.UsageError(
            "a token does not belong into a URL, where others of the machine read it:"
            f" {tokens.VARIABLE}, the keyring, or wait to be asked"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise click.UsageError("URL is the app's address alone, such as https://chat.example")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise click.UsageError(
            "over http:// anybody on the way reads the admin token: use https://, or"
            f" ssh://{parts.hostname}/path/of/the/project"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
