"""One's own account over HTTP: who I am, my sessions and tokens."""

from __future__ import annotations

from aiohttp import web

from pylon.errors import NotFound, Unauthenticated
from pylon.server.auth.scopes import demand_unscoped
from pylon.server.auth.sessions import session_json
from pylon.server.http.exchange import Exchange, flag, json_value, no_content
from pylon.server.storage.accounts import Account


async def me(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/me: who am I; 401 for nobody.

    With `?anonymous=1` nobody is an answer, of nulls, and an ended session is nobody: a page that
    asks is shown no error for it.
    """
    may_be_nobody = flag(exchange.query(("anonymous",)).get("anonymous"))
    try:
        account = _account_of(exchange)
    except Unauthenticated:
        if not may_be_nobody:
            raise
        return json_value({"user_id": None, "email": None, "roles": []})
    return json_value(
        {"user_id": account.id, "email": account.email, "roles": sorted(account.roles)}
    )


async def logout(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/logout: end this session."""
    try:
        identity = exchange.identity
    except Unauthenticated:
        identity = None
    if identity is not None and identity.session_id is not None and identity.user_id is not None:
        await exchange.services.sessions.end(identity.session_id, identity.user_id, "signed_out")
    answer = no_content()
    for name in ("pylon_session", "__Host-pylon_session"):
        answer.del_cookie(name, path="/", secure=name.startswith("__"), httponly=True)
    return answer


def user_of(exchange: Exchange) -> str:
    """Return the caller's user id; raises Unauthenticated for nobody."""
    identity = exchange.identity
    if identity.user_id is None:
        raise Unauthenticated()
    return identity.user_id


def _account_of(exchange: Exchange) -> Account:
    account = exchange.services.accounts.find(user_of(exchange))
    if account is None:
        raise Unauthenticated()
    return account


async def sessions(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/sessions: my sessions and tokens."""
    found = exchange.services.sessions.sessions_of(user_of(exchange))
    current = exchange.identity.session_id
    return json_value({"sessions": [session_json(one, current) for one in found]})


async def end_session(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/auth/sessions/{id}."""
    demand_unscoped(exchange.identity)
    if not await exchange.services.sessions.end(exchange.parts[0], user_of(exchange), "revoked"):
        raise NotFound()
    return no_content()


async def end_other_sessions(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/auth/sessions: all of mine but this one, tokens among them."""
    user_id = user_of(exchange)
    demand_unscoped(exchange.identity)
    ended = await exchange.services.sessions.end_others(
        user_id, exchange.identity.session_id, "revoked"
    )
    return json_value({"ended": ended})


async def make_token(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/tokens: an API token, shown once."""
    exchange.services.sign_in_rates.demand(exchange.address)
    account = _account_of(exchange)
    demand_unscoped(exchange.identity)
    body = await exchange.json_object()
    made = await exchange.services.people.make_own_token(
        account,
        exchange.identity,
        days=body.get("days"),
        name=body.get("name"),
        scope=body.get("scope"),
    )
    return json_value(made, 201)
