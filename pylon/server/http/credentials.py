"""Passwords, second factors and guests over HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pylon import limits
from pylon.errors import Conflict, Unauthenticated
from pylon.server.auth.scopes import demand_unscoped
from pylon.server.auth.sign_in import Proof
from pylon.server.auth.totp import otpauth_url, secret_text
from pylon.server.http.account import user_of
from pylon.server.http.auth import (
    browser_secret,
    demand_method,
    limit_sign_in,
    sign_in,
    signed_in_answer,
    visitor_of,
)  # fmt: skip
from pylon.server.http.exchange import Exchange, json_value, no_content
from pylon.server.storage.accounts import Account
from pylon.server.storage.login_sessions import session_by_id

#: The cookie of a sign-in that waits for its second factor.
TICKET_COOKIE = "pylon_ticket"


def own_account(exchange: Exchange) -> Account:
    """Return the caller's account; raises Unauthenticated, PolicyDenied for a scoped token."""
    account = exchange.services.accounts.find(user_of(exchange))
    if account is None:
        raise Unauthenticated()
    demand_unscoped(exchange.identity)
    return account


async def demand_reproof(exchange: Exchange, account: Account, body: dict[str, Any]) -> None:
    """Raise Unauthenticated unless the caller shows once more that he is who he is.

    By `current`, his password, or by `code`, sent to his address; and by `totp` where he has a
    second factor. Who has neither password nor mail shows it by a sign-in of the last ten minutes;
    a guest is whoever holds the session.
    """
    services = exchange.services
    if account.is_guest:
        return
    if services.second_factor.is_enrolled(account.id):
        code = body.get("totp")
        if code is None or not await services.second_factor.check(account.id, code):
            raise Unauthenticated("the second factor is missing or wrong", second_factor="totp")
    has_password = services.passwords.has_password(account.id)
    if "current" in body and has_password:
        is_right = await services.passwords.is_password_of(
            account, body["current"], exchange.address
        )
    elif "code" in body and account.email is not None:
        prove = await services.codes.proof_of_code(
            account.email, body["code"], browser_secret(exchange)
        )
        is_right = (await services.database.writer.submit(prove)).value is not None
    else:
        is_right = not has_password and account.email is None and _is_recent(exchange)
    if not is_right:
        raise Unauthenticated(
            "show once more that it is you", hint="`current`, your password, or `code` by mail",
            reproof=["current", "code"] if has_password else ["code"],
        )  # fmt: skip


def _is_recent(exchange: Exchange) -> bool:
    services, session_id = exchange.services, exchange.identity.session_id
    if session_id is None:
        return False
    session = session_by_id(services.database.readers.inline.rows, session_id)
    since = services.clock.now_ms() - int(limits.CODE_SECONDS * 1000)
    return session is not None and session.created_at_ms >= since


# --- passwords ---------------------------------------------------------------------------


async def register(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/password/register: an account whose address nobody has proven yet."""
    demand_method(exchange, "password")
    limit_sign_in(exchange)
    body = await exchange.json_object()
    exchange.services.new_account_rates.demand(exchange.address)
    prove = await exchange.services.passwords.registration(body.get("email"), body.get("password"))
    return await sign_in(exchange, prove)


async def login(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/password/login."""
    demand_method(exchange, "password")
    limit_sign_in(exchange)
    body = await exchange.json_object()
    prove = await exchange.services.passwords.proof(
        body.get("email"), body.get("password"), exchange.address
    )
    return await sign_in(exchange, prove, body.get("totp"))


async def reset(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/password/reset: a new password for whoever reads the address's mails."""
    demand_method(exchange, "password")
    limit_sign_in(exchange)
    body = await exchange.json_object()
    services = exchange.services
    by_code = await services.codes.proof_of_code(
        body.get("email"), body.get("code"), browser_secret(exchange)
    )
    prove = await services.passwords.reset(by_code, body.get("email"), body.get("password"))
    return await sign_in(exchange, prove, body.get("totp"))


async def change(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/password/change: a new password; all other sessions end."""
    demand_method(exchange, "password")
    limit_sign_in(exchange)
    account = own_account(exchange)
    body = await exchange.json_object()
    await demand_reproof(exchange, account, body)
    await exchange.services.passwords.change(account, body.get("password"), exchange.identity)
    return no_content()


# --- second factor -----------------------------------------------------------------------


async def enrol(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/totp: a secret that counts from its first right code on."""
    limit_sign_in(exchange)
    account = own_account(exchange)
    body = await exchange.json_object()
    await demand_reproof(exchange, account, body)
    secret = await exchange.services.second_factor.enrol(account.id, exchange.identity)
    app = exchange.services.definitions.current.name
    url = otpauth_url(secret, app, account.label)
    return json_value({"secret": secret_text(secret), "url": url}, 201)


async def confirm(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/totp/confirm: the first code; answers the recovery codes, shown once."""
    limit_sign_in(exchange)
    account = own_account(exchange)
    body = await exchange.json_object()
    recovery = await exchange.services.second_factor.confirm(
        account.id, body.get("totp"), exchange.identity
    )
    return json_value({"recovery": recovery})


async def verify(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/totp/verify: the second half of a sign-in that a ticket holds."""
    limit_sign_in(exchange)
    body = await exchange.json_object()
    name = exchange.services.config.cookie(TICKET_COOKIE)
    ticket = exchange.request.cookies.get(name, "")
    signed_in = await exchange.services.sign_in.complete(
        ticket, body.get("totp"), visitor_of(exchange)
    )
    answer = signed_in_answer(exchange, signed_in)
    answer.del_cookie(name, path="/", secure=exchange.services.config.is_https, httponly=True)
    return answer


async def remove(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/auth/totp: sign in without it again."""
    limit_sign_in(exchange)
    account = own_account(exchange)
    body = await exchange.json_object()
    await demand_reproof(exchange, account, body)
    await exchange.services.second_factor.remove(account.id, exchange.identity)
    return no_content()


# --- guests ------------------------------------------------------------------------------


async def guest(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/guest: an account without an address, for a browser that has none."""
    demand_method(exchange, "guest")
    limit_sign_in(exchange)
    if visitor_of(exchange).before is not None and exchange.identity.user_id is not None:
        raise Conflict("you are signed in already")
    exchange.services.new_account_rates.demand(exchange.address)
    return await sign_in(exchange, lambda _: Proof(method="guest"))


async def summary(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/account: what one's own account is, and what signs it in."""
    account = exchange.services.accounts.find(user_of(exchange))
    if account is None:
        raise Unauthenticated()
    return json_value(exchange.services.own_data.account_json(account))
