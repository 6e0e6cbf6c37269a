"""Signing in and out over HTTP: codes, links, the development sign-in, sessions and tokens."""

from __future__ import annotations

import logging

from aiohttp import web

from pylon import limits
from pylon.clock import iso_ms
from pylon.errors import NotFound, Unauthenticated
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.codes import SentCode
from pylon.server.auth.people import link_url
from pylon.server.auth.roles import checked_roles
from pylon.server.auth.sessions import Issued
from pylon.server.auth.sign_in import Proof, Prover, SignedIn, Visitor
from pylon.server.config import origin_of
from pylon.server.http.exchange import Exchange, json_value
from pylon.server.http.routes import Handler
from pylon.server.http.services import Services
from pylon.server.storage.accounts import Account
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.auth")
_DEVICE_CHARACTERS = 200
#: The cookie that binds a code to the browser that asked for it, and how long its value is.
BROWSER_COOKIE = "pylon_signin"
_SECRET_CHARACTERS = 43


def limit_sign_in(exchange: Exchange) -> None:
    """Count a try to sign in against the caller's network; raises RateLimited."""
    exchange.services.sign_in_rates.demand(exchange.address)


def demand_method(exchange: Exchange, *methods: str) -> None:
    """Raise NotFound unless the app has turned one of these methods on."""
    if not set(methods) & set(exchange.services.config["auth.methods"]):
        raise NotFound(
            f"{methods[0]} is not turned on here", hint="see auth.methods of the settings"
        )


def demand_here(exchange: Exchange) -> None:
    """Raise NotFound unless the caller is on this machine and means it by a name of its own.

    A runtime of `pylon dev` may be reached from elsewhere: by a wider `host`, or through a tunnel,
    which comes from here and names an origin of the app's.
    """
    if not (exchange.is_local_socket or exchange.is_of_this_machine):
        raise NotFound(
            "the development sign-in is for this machine only",
            hint="open the app as localhost, or sign in with a code",
        )


def limited(handler: Handler) -> Handler:
    """Let so many requests of one address through."""

    async def counted(exchange: Exchange) -> web.StreamResponse:
        exchange.services.auth_rates.demand(exchange.address)
        return await handler(exchange)

    return counted


async def magic_send(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/magic/send: the same answer for known and unknown addresses."""
    demand_method(exchange, "magic", "link", "password")
    limit_sign_in(exchange)
    body = await exchange.json_object()
    services = exchange.services
    email = normalise_email(body.get("email"))
    services.code_rates.demand(exchange.address)
    browser = None
    if exchange.is_browser:
        browser = browser_secret(exchange) or services.codes.new_browser_secret()
    origin = _origin(exchange)
    await services.codes.send(
        email, network=exchange.address, browser=browser,
        post=lambda transaction, mail: _post(services, origin, transaction, mail),
    )  # fmt: skip
    answer = json_value({"sent": True})
    if browser is not None:
        set_cookie(exchange, answer, BROWSER_COOKIE, browser, int(limits.CODE_SECONDS))
    return answer


def _post(services: Services, origin: str, transaction: Transaction, mail: SentCode) -> None:
    """Have a code mailed once the transaction that stores it is committed."""
    has_link = "link" in services.config["auth.methods"]
    data = {
        "app": services.definitions.current.name, "code": mail.code,
        "link": link_url(origin, mail.link) if has_link else None,
        "minutes": int(limits.CODE_SECONDS / 60),
    }  # fmt: skip
    services.mailer.send_secret(
        transaction, mail.email, "code", data, until_ms=mail.expires_at_ms,
        code=mail.code if services.config.is_dev else None,
    )  # fmt: skip


def _origin(exchange: Exchange) -> str:
    """Return where the person is who asks: at an origin of the settings, or the first.

    The names of this machine, which the gate knows, too, are for where the settings have none.
    """
    services, given = exchange.services, exchange.request.headers.get("Origin")
    config = services.config
    is_ours = given in config["server.origins"] or not config["server.origins"]
    return given if given and is_ours else origin_of(config, services.bound_port)


def browser_secret(exchange: Exchange) -> str | None:
    """Return the secret that this browser got when it asked for a code."""
    if "Cookie" not in exchange.request.headers:
        return None
    found = exchange.request.cookies.get(exchange.services.config.cookie(BROWSER_COOKIE))
    return found if found and len(found) == _SECRET_CHARACTERS else None


async def magic_verify(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/magic/verify: a code for a session."""
    demand_method(exchange, "magic", "link")
    limit_sign_in(exchange)
    body = await exchange.json_object()
    prove = await exchange.services.codes.proof_of_code(
        body.get("email"), body.get("code"), browser_secret(exchange)
    )
    return await sign_in(exchange, prove, body.get("totp"))


async def dev_login(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/dev/login: sign in as anybody, in development and on this machine only."""
    demand_here(exchange)
    body = await exchange.json_object()
    roles = checked_roles(body.get("roles"))
    email, accounts = normalise_email(body.get("email")), exchange.services.accounts

    def settle(transaction: Transaction, account: Account) -> None:
        if roles is not None:
            accounts.set_roles_in(transaction, account, roles)

    proof = Proof(method="dev", email=email, is_address_proven=True, settle=settle)
    return await sign_in(exchange, lambda _: proof)


async def use_link(exchange: Exchange) -> web.StreamResponse:
    """POST /api/auth/link: the one-time link of `pylon login-link`, used by the page behind it.

    The page is fetched by whoever looks into a mail or a chat; only the person on it signs in.
    """
    limit_sign_in(exchange)
    body = await exchange.json_object()
    prove = exchange.services.codes.proof_of_link(
        body.get("t"), body.get("email"), browser_secret(exchange)
    )
    return await sign_in(exchange, prove, body.get("totp"))


def visitor_of(
    exchange: Exchange, second_factor: object = None, *, may_wait: bool = False
) -> Visitor:
    """Return who signs in, as far as the request says."""
    try:
        before = exchange.identity
    except Unauthenticated:
        before = None
    device = exchange.request.headers.get("User-Agent", "")[:_DEVICE_CHARACTERS]
    name = device.encode("utf-8", "replace").decode()
    return Visitor(before, name, second_factor, may_wait=may_wait)


async def sign_in(exchange: Exchange, prove: Prover, second_factor: object = None) -> web.Response:
    """Answer a proof with a session: its token and its cookie; raises Unauthenticated."""
    visitor = visitor_of(exchange, second_factor)
    return signed_in_answer(exchange, await exchange.services.sign_in.enter(prove, visitor))


def signed_in_answer(exchange: Exchange, signed_in: SignedIn) -> web.Response:
    """Return the answer of a sign-in: the token and its cookie."""
    issued = signed_in.issued
    answer = json_value(
        {
            "token": issued.token,
            "user_id": signed_in.account.id,
            "expires_at": iso_ms(issued.session.expires_at_ms),
        }
    )
    set_session_cookie(exchange, answer, issued)
    return answer


def set_session_cookie(exchange: Exchange, answer: web.Response, issued: Issued) -> None:
    """Put the token of a session into the browser's cookie."""
    seconds = (issued.session.expires_at_ms - issued.session.created_at_ms) // 1000
    set_cookie(exchange, answer, "pylon_session", issued.token, seconds)


def set_cookie(
    exchange: Exchange, answer: web.Response, name: str, value: str, seconds: int
) -> None:
    """Set a cookie that no script reads and no other site sends (I75)."""
    config = exchange.services.config
    answer.set_cookie(
        config.cookie(name), value, path="/", max_age=seconds, httponly=True, samesite="Lax",
        secure=config.is_https,
    )  # fmt: skip
