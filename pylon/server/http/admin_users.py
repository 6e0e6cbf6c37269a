"""Accounts for the owner: found, looked at, locked out, let in, invited."""

from __future__ import annotations

from aiohttp import web

from pylon.errors import NotFound
from pylon.server.auth.people import INVITE_DAYS
from pylon.server.config import origin_of
from pylon.server.http.admin import connections_of
from pylon.server.http.exchange import Exchange, integer, json_value
from pylon.server.http.own_data import export_parts
from pylon.server.http.services import Services
from pylon.server.mail.smtp import parse_url
from pylon.server.storage.transaction import Transaction


def _origin(exchange: Exchange) -> str:
    return origin_of(exchange.services.config, exchange.services.bound_port)


async def users(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/users?search=&limit=&after=: accounts by address.

    `search` is a line: words in address, id or roles, `role:x`, `state:x`; `!` turns it round.
    """
    query = exchange.query(("search", "limit", "after"))
    limit = integer(query.get("limit"), "limit")
    return json_value(
        await exchange.services.people.list_users(
            search=query.get("search"), limit=limit, after=query.get("after")
        )
    )


async def user(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/users/{user}: the account, what signs it in, its sessions and tokens."""
    shown = exchange.services.people.show(exchange.parts[0])
    return json_value({**shown, "connections": connections_of(exchange.services, shown["user_id"])})


async def disable(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/disable: its sessions and sockets end, and no other begins."""
    people = exchange.services.people
    return json_value(await people.set_disabled(exchange.parts[0], disabled=True))


async def enable(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/enable."""
    people = exchange.services.people
    return json_value(await people.set_disabled(exchange.parts[0], disabled=False))


async def revoke(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/revoke {session?}: one session or token, or all of them."""
    body = await exchange.json_object()
    return json_value(await exchange.services.people.revoke(exchange.parts[0], body.get("session")))


async def reset_factor(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/reset-factor: for a phone and recovery codes that are lost."""
    return json_value(await exchange.services.people.reset_factor(exchange.parts[0]))


async def delete(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/delete."""
    return json_value(await exchange.services.people.delete(exchange.parts[0]))


async def erase(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/erase: the account, and all that is left of it anywhere."""
    services = exchange.services
    account = services.accounts.find(exchange.parts[0])
    if account is None:
        raise NotFound(f"there is no account {exchange.parts[0]}")
    return json_value(await services.eraser.erase(account.id))


async def export(exchange: Exchange) -> web.StreamResponse:
    """GET /api/admin/users/{user}/export: what the user's own export says."""
    account = exchange.services.accounts.find(exchange.parts[0])
    if account is None:
        raise NotFound(f"there is no account {exchange.parts[0]}")
    text = "".join([part async for part in export_parts(exchange.services, account)])
    return web.Response(text=text, content_type="application/json")


async def invite(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/invite {email, roles?}: an account with a link that signs it in once.

    The answer says where its mail goes (`mail`): to a server, or into the outbox.
    """
    body = await exchange.json_object()
    services = exchange.services
    made = await services.people.invite(body.get("email"), body.get("roles"), _origin(exchange))
    data = {"app": services.definitions.current.name, "url": made["url"], "days": INVITE_DAYS}
    until_ms = services.clock.now_ms() + INVITE_DAYS * 86_400_000

    def post(transaction: Transaction) -> None:
        services.mailer.send_secret(
            transaction, made["email"], "invitation", data, until_ms=until_ms,
            is_shown=services.config.is_dev,
        )  # fmt: skip

    await services.database.writer.submit(post)
    return json_value({**made, "mail": _way_of_mail(services)})


def _way_of_mail(services: Services) -> dict[str, str]:
    url = services.config["mail.url"]
    if url and not services.config.is_dev:
        return {"way": "smtp", "host": parse_url(url).host}
    return {"way": "outbox", "folder": ".pylon/outbox"}


async def sign_in_as(exchange: Exchange) -> web.StreamResponse:
    """POST /api/admin/users/{user}/sign-in-as: a link into a user's account, in development."""
    account = exchange.services.accounts.find(exchange.parts[0])
    if account is None:
        raise NotFound(f"there is no account {exchange.parts[0]}")
    made = await exchange.services.people.make_login_link(account.id, _origin(exchange))
    return json_value(made)
