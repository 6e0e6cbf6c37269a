"""Signing in by a provider over HTTP: on the way out, on the way back, and what is linked."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from pylon import limits
from pylon.errors import (
    Conflict,
    InvalidArgument,
    NotFound,
    ProviderFailed,
    Unauthenticated,
)
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.oauth.flow import arrive, depart, state_of
from pylon.server.auth.oauth.id_token import Person
from pylon.server.auth.oauth.providers import Provider
from pylon.server.auth.oauth.redirects import safe_next
from pylon.server.auth.sessions import caller_in
from pylon.server.auth.sign_in import Proof, Prover, SignedIn
from pylon.server.config import origin_of
from pylon.server.http.auth import (
    BROWSER_COOKIE,
    browser_secret,
    demand_method,
    limit_sign_in,
    set_cookie,
    set_session_cookie,
    visitor_of,
)  # fmt: skip
from pylon.server.http.credentials import TICKET_COOKIE, own_account
from pylon.server.http.exchange import Exchange, flag, json_value, no_content
from pylon.server.storage import credentials, departures
from pylon.server.storage.accounts import Account
from pylon.server.storage.departures import Departure
from pylon.server.storage.transaction import Transaction

_log = logging.getLogger("pylon.auth")


def _provider(exchange: Exchange) -> Provider:
    """Return the provider that the path names; raises NotFound."""
    demand_method(exchange, "oauth")
    name = exchange.parts[0]
    found = exchange.services.oauth.by_name.get(name)
    if found is None:
        raise NotFound("there is no such provider", hint="GET /api/auth/providers lists them")
    return found


async def start(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/oauth/{provider}/start?next=/path[&link=1]: off to the provider."""
    limit_sign_in(exchange)
    provider, services = _provider(exchange), exchange.services
    query = exchange.query(("next", "link"))
    next_page = safe_next(query.get("next"))
    linked = own_account(exchange).id if flag(query.get("link")) else None
    try:
        endpoints = await services.oauth.endpoints(provider)
    except ProviderFailed as error:
        return _failed(exchange, provider, error, next_page)
    browser = browser_secret(exchange) or services.codes.new_browser_secret()
    url, departure = depart(
        provider, endpoints, redirect_uri=_redirect_uri(exchange, provider), next_page=next_page,
        browser=browser, user_id=linked, now_ms=services.clock.now_ms(),
        random_bytes=services.ids.random_bytes,
    )  # fmt: skip
    await services.database.writer.submit(
        lambda transaction: departures.insert_departure(transaction, departure)
    )
    answer = _sent_to(url)
    set_cookie(exchange, answer, BROWSER_COOKIE, browser, int(limits.OAUTH_SECONDS))
    return answer


def _redirect_uri(exchange: Exchange, provider: Provider) -> str:
    """Return where the provider sends people back: to the origin of ours that was asked."""
    services, host = exchange.services, exchange.request.host.lower()
    fitting = sorted(one for one in services.known_origins if urlsplit(one).netloc == host)
    # https stands last in the order.
    origin = fitting[-1] if fitting else origin_of(services.config, services.bound_port)
    return f"{origin.rstrip('/')}/api/auth/oauth/{provider.name}/callback"


async def callback(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/oauth/{provider}/callback: back from the provider."""
    limit_sign_in(exchange)
    provider, services = _provider(exchange), exchange.services
    next_page = "/"
    try:
        answer = _answer(exchange)
        state = state_of(answer)
        taken = await services.database.writer.submit(
            lambda transaction: departures.take_departure(transaction, state)
        )
        departure: Departure | None = taken.value
        user_id = _user_now(exchange)
        endpoints = await services.oauth.endpoints(provider) if departure is not None else None
        code = arrive(
            provider, endpoints, departure, answer, browser=browser_secret(exchange),
            user_id=user_id, now_ms=services.clock.now_ms(),
        )  # fmt: skip
        assert departure is not None, "who arrived has departed"
        next_page = departure.next
        person = await services.oauth.person(provider, code, departure)
        signed_in = await services.sign_in.enter(
            _prover(provider, person, departure, exchange), visitor_of(exchange, may_wait=True)
        )
    except ProviderFailed as error:
        return _failed(exchange, provider, error, next_page)
    except Unauthenticated:
        refused = ProviderFailed("the account is closed", reason="refused")
        return _failed(exchange, provider, refused, next_page)
    return _arrived(exchange, signed_in, next_page)


def _answer(exchange: Exchange) -> dict[str, str]:
    try:
        return dict(exchange.query())
    except InvalidArgument as error:
        raise ProviderFailed("it came back with a parameter twice") from error


def _user_now(exchange: Exchange) -> str | None:
    try:
        return exchange.identity.user_id
    except Unauthenticated:
        return None


def _prover(provider: Provider, person: Person, departure: Departure, exchange: Exchange) -> Prover:
    """Return what proves an account by who somebody is at a provider."""
    email = _address(provider, person)

    def settle(transaction: Transaction, account: Account) -> None:
        owner = credentials.user_of_identity(transaction.select, person.issuer, person.subject)
        if owner is None:
            credentials.insert_identity(
                transaction, person.issuer, person.subject, account.id, person.email
            )

    def prove(transaction: Transaction) -> Proof:
        owner = credentials.user_of_identity(transaction.select, person.issuer, person.subject)
        if departure.user_id is not None:
            caller_in(transaction, exchange.identity)  # the provider took its time
            if owner not in (None, departure.user_id):
                raise ProviderFailed("it is linked to another account", reason="linked_elsewhere")
            return Proof(method="oauth", user_id=departure.user_id, settle=settle)
        if owner is not None:
            return Proof(method="oauth", user_id=owner)
        if email is None:
            raise ProviderFailed("the provider has verified no address", reason="unverified")
        return Proof(method="oauth", email=email, is_address_proven=True, settle=settle)

    return prove


def _address(provider: Provider, person: Person) -> str | None:
    """Return the verified address of somebody, as ours are written."""
    if person.email is None or not provider.trusts_email:
        return None
    try:
        return normalise_email(person.email)
    except InvalidArgument:
        return None


def _arrived(exchange: Exchange, signed_in: SignedIn, next_page: str) -> web.Response:
    if not signed_in.is_ticket:
        answer = _sent_to(next_page)
        set_session_cookie(exchange, answer, signed_in.issued)
        return answer
    answer = _sent_to(f"/auth/?{urlencode({'step': 'totp', 'next': next_page})}")
    session = signed_in.issued.session
    seconds = (session.expires_at_ms - session.created_at_ms) // 1000
    set_cookie(exchange, answer, TICKET_COOKIE, signed_in.issued.token, seconds)
    return answer


def _failed(
    exchange: Exchange, provider: Provider, error: ProviderFailed, next_page: str
) -> web.Response:
    """Send the browser to the sign-in page, which says why in its own words."""
    level = logging.INFO if error.reason in ("cancelled", "expired") else logging.WARNING
    _log.log(level, "auth.provider_failed %s %s: %s", provider.name, error.reason, error.message)
    return _sent_to(f"/auth/?{urlencode({'error': error.reason, 'next': next_page})}")


def _sent_to(url: str) -> web.Response:
    headers = {
        "Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }  # fmt: skip
    return web.Response(status=303, headers=headers)


async def identities(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/identities: at which providers the caller is known."""
    account = own_account(exchange)
    return json_value({"identities": _identities(exchange, account)})


def _identities(exchange: Exchange, account: Account) -> list[dict[str, Any]]:
    rows = exchange.services.database.readers.inline.rows
    names = {one.issuer: one for one in exchange.services.oauth.by_name.values()}
    return [
        {
            "provider": names[issuer].name if issuer in names else None,
            "issuer": issuer, "subject": subject, "email": email,
        }
        for issuer, subject, email in credentials.identities_of(rows, account.id)
    ]  # fmt: skip


async def unlink(exchange: Exchange) -> web.StreamResponse:
    """DELETE /api/auth/identities/{provider}: it signs the caller in no more.

    Raises NotFound, and Conflict where it is the only way in.
    """
    account, provider = own_account(exchange), _provider(exchange)

    def work(transaction: Transaction) -> None:
        caller_in(transaction, exchange.identity)
        linked = credentials.identities_of(transaction.select, account.id)
        others = [one for one in linked if one[0] != provider.issuer]
        if len(others) == len(linked):
            raise NotFound(f"{provider.label} is not linked")
        has_password = credentials.password_of(transaction.select, account.id) is not None
        if not others and not has_password and account.email is None:
            raise Conflict("it is the only way into this account")
        credentials.delete_identities(transaction, account.id, provider.issuer)

    await exchange.services.database.writer.submit(work)
    return no_content()


async def providers(exchange: Exchange) -> web.StreamResponse:
    """GET /api/auth/providers: how people sign in here."""
    config = exchange.services.config
    listed = [
        {"name": one.name, "label": one.label, "start": f"/api/auth/oauth/{one.name}/start"}
        for one in exchange.services.oauth.by_name.values()
    ]
    has_dev_login = config.is_dev and exchange.is_of_this_machine
    return json_value(
        {"methods": list(config["auth.methods"]), "oauth": listed, "dev_login": has_dev_login}
    )
