"""Asks providers over HTTP: their addresses, their keys, and who a code is about.

Answers are bounded in time and size, and no redirect is followed: a secret goes to the address
that was checked, and nowhere else. What a provider answers is never logged.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

import aiohttp

from pylon import jsonvalue, limits
from pylon.clock import Clock
from pylon.errors import InvalidJson, ProviderFailed
from pylon.server.auth.oauth.id_token import (
    Expected,
    Person,
    UnknownKey,
    person_of,
    public_keys,
    verified_email,
)
from pylon.server.auth.oauth.providers import (
    Endpoints,
    Provider,
    github_endpoints,
    metadata_url,
    oidc_endpoints,
    provider_of,
)
from pylon.server.storage.departures import Departure

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

_KEPT_SECONDS: Final = 3_600.0
#: Keys are asked for again because a token names an unknown one at most so often.
_KEYS_AGAIN_SECONDS: Final = 30.0
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "Pylon",
                   "Accept-Encoding": "identity"}  # fmt: skip


@dataclass(slots=True)
class _Known:
    """What a provider published, and when it was read, by the monotonic clock."""

    endpoints: Endpoints
    at: float
    keys: KeySet | None = None
    keys_at: float = 0.0


class ProviderClient:
    """Speaks with the providers of one runtime; `close` it at the end."""

    def __init__(self, settings: Mapping[str, Mapping[str, Any]], clock: Clock) -> None:
        #: The providers by name, as the settings have them.
        self.by_name = {name: provider_of(name, given) for name, given in settings.items()}
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def endpoints(self, provider: Provider) -> Endpoints:
        """Return a provider's addresses; raises ProviderFailed."""
        return (await self._of(provider)).endpoints

    async def _of(self, provider: Provider) -> _Known:
        now = self._clock.monotonic()
        known = self._known.get(provider.name)
        if known is not None and now - known.at < _KEPT_SECONDS:
            return known
        if provider.is_github:
            endpoints = github_endpoints(provider)
        else:
            endpoints = oidc_endpoints(provider, await self._object("GET", metadata_url(provider)))
        known = self._known[provider.name] = _Known(endpoints, now)
        return known

    async def person(self, provider: Provider, code: str, departure: Departure) -> Person:
        """Return who a code is about; raises ProviderFailed."""
        known = await self._of(provider)
        answer = await self._redeem(provider, known.endpoints, code, departure)
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise ProviderFailed("the provider gave no token for its code")
        if known.endpoints.keys is None:
            return await self._github_person(provider, known.endpoints, access)
        expected = Expected(
            issuer=provider.issuer, client_id=provider.client_id, nonce=departure.nonce,
            access_token=access, now_s=self._clock.machine_ms() // 1000,
        )  # fmt: skip
        token = answer.get("id_token")
        try:
            person = person_of(token, await self._keys(known, is_again=False), expected)
        except UnknownKey:
            person = person_of(token, await self._keys(known, is_again=True), expected)
        if person.email is not None or known.endpoints.person is None:
            return person
        return await self._with_address(known.endpoints.person, person, access)

    async def _with_address(self, url: str, person: Person, access: str) -> Person:
        """Return the person with the address that only userinfo tells."""
        about = await self._object("GET", url, access=access)
        if about.get("sub") != person.subject:
            raise ProviderFailed("the provider speaks of two people")
        return Person(issuer=person.issuer, subject=person.subject, email=verified_email(about))

    async def _redeem(
        self, provider: Provider, endpoints: Endpoints, code: str, departure: Departure
    ) -> dict[str, Any]:
        given = {"code": code, "code_verifier": departure.verifier}
        headers = {}
        if provider.client_secret and endpoints.is_basic:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            given["client_id"] = provider.client_id
            if provider.client_secret:
                given["client_secret"] = provider.client_secret
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        form = prepare_token_request(
            "authorization_code", redirect_uri=departure.redirect_uri, **given
        )
        return await self._object("POST", endpoints.token, form=form, headers=headers)

    async def _keys(self, known: _Known, *, is_again: bool) -> KeySet:
        now = self._clock.monotonic()
        if known.keys is not None:
            if not is_again:
                return known.keys
            if now - known.keys_at < _KEYS_AGAIN_SECONDS:
                raise ProviderFailed("no key of the provider fits the ID token")
        assert known.endpoints.keys is not None, "who has no keys is asked for none"
        known.keys = public_keys(await self._object("GET", known.endpoints.keys))
        known.keys_at = now
        return known.keys

    async def _github_person(self, provider: Provider, endpoints: Endpoints, access: str) -> Person:
        assert endpoints.person is not None
        assert endpoints.emails is not None
        about = await self._object("GET", endpoints.person, access=access)
        number = about.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
            raise ProviderFailed("the provider names nobody")
        listed = await self._json("GET", endpoints.emails, access=access)
        email = None
        for one in listed if isinstance(listed, list) else []:
            is_good = (
                isinstance(one, dict)
                and one.get("primary") is True
                and one.get("verified") is True
                and isinstance(one.get("email"), str)
            )
            if is_good:
                email = one["email"]
        return Person(issuer=provider.issuer, subject=str(number), email=email)

    async def _object(self, method: str, url: str, **how: Any) -> dict[str, Any]:
        value = await self._json(method, url, **how)
        if not isinstance(value, dict):
            raise ProviderFailed("the provider's answer is no object")
        return value

    async def _json(
        self, method: str, url: str, *, form: str | None = None, access: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:  # fmt: skip
        sent = _HEADERS | (headers or {})
        if access is not None:
            sent["Authorization"] = f"Bearer {access}"
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            async with self._opened().request(
                method, url, data=form, headers=sent, allow_redirects=False
            ) as answer:
                body = await answer.content.read(limits.BODY_BYTES_MAX + 1)
                while not answer.content.at_eof() and len(body) <= limits.BODY_BYTES_MAX:
                    body += await answer.content.read(limits.BODY_BYTES_MAX + 1 - len(body))
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ProviderFailed(
                f"the provider could not be reached: {type(error).__name__}"
            ) from error
        if status != 200:
            raise ProviderFailed(f"the provider answered {status}")
        if len(body) > limits.BODY_BYTES_MAX:
            raise ProviderFailed("the provider's answer is too large")
        try:
            return jsonvalue.parse(body)
        except InvalidJson as error:
            raise ProviderFailed("the provider's answer is no JSON") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=limits.OAUTH_ANSWER_SECONDS)
            # Cookies of one person's sign-in are not sent with another's.
            self._session = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session
