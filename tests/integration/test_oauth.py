"""Signing in by a provider: the ways that lead in, and those that must not (THREATS 37, 40-42)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from joserfc import jwt

from pylon.server.auth import hashing
from pylon.server.auth.totp import totp_code
from pylon.testing.inprocess import URL
from pylon.testing.served import Answer
from tests.integration.house import Browser, House, house
from tests.integration.oidc_provider import (
    CLIENT_SECRET,
    Cheat,
    Claims,
    OidcProvider,
    hashed_with,
    unsigned,
)

START, BACK = "/api/auth/oauth/{}/start", "/api/auth/oauth/{}/callback"
ADA = "ada@example.com"


@dataclass
class World:
    """An app, and a provider for it."""

    house: House
    provider: OidcProvider

    async def leave(self, browser: Browser, name: str = "test", query: str = "") -> str:
        """Return where the app sends a browser that wants to sign in."""
        answer = await browser.get(START.format(name) + query)
        assert answer.status == 303, answer.body
        return str(answer.headers["Location"])

    async def come_back(self, browser: Browser, url: str) -> Answer:
        """Follow the provider's redirect."""
        assert url.startswith(URL), "a provider sends people to the address they came from"
        return await browser.get(url.removeprefix(URL))

    async def sign_in(self, browser: Browser, name: str = "test", query: str = "") -> Answer:
        """Go there, agree, come back."""
        return await self.come_back(
            browser, self.provider.consent(await self.leave(browser, name, query))
        )

    def counts(self) -> tuple[int, ...]:
        """Return how many accounts, sessions and links there are."""
        rows = self.house.services.database.readers.inline.rows
        tables = ("_pylon_accounts", "_pylon_sessions", "_pylon_identities")
        return tuple(rows(f"SELECT count(*) FROM {one}", ())[0][0] for one in tables)


def why(answer: Answer) -> str:
    """Return the reason that the sign-in page is told."""
    assert answer.status == 303, answer.body
    target = urlsplit(answer.headers["Location"])
    assert (target.scheme, target.netloc, target.path) == ("", "", "/auth/")
    return parse_qs(target.query)["error"][0]


async def me(browser: Browser) -> dict[str, Any] | None:
    """Return who a browser is signed in as."""
    answer = await browser.get("/api/auth/me")
    return answer.body if answer.status == 200 else None


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    provider = OidcProvider()
    await provider.start()
    toml = '[auth]\nmethods = ["magic", "oauth", "password", "guest"]\n' + "".join(
        (
            provider.section(), provider.section("other"),
            provider.section("github"), provider.section("wary", trust_email=False),
        )
    )  # fmt: skip
    async with house(tmp_path, toml) as one:
        for rates in (one.services.sign_in_rates, one.services.auth_rates):
            rates.demand = lambda key: None  # type: ignore[method-assign]
        provider.now = lambda: one.services.clock.now_ms() // 1000
        yield World(one, provider)
    await provider.close()


# --- ways in


async def test_a_new_person_gets_an_account_and_comes_back_to_it(world: World) -> None:
    """The first time makes an account with the proven address; the next time finds it."""
    ada = await world.house.browser()
    answer = await world.sign_in(ada, query="?next=/rooms/7%3Fx%3D1%23y")
    assert answer.headers["Location"] == "/rooms/7?x=1#y"
    first = await me(ada)
    assert first is not None
    assert first["email"] == ADA
    again = await world.house.browser()
    world.provider.be("sub-1", "new-address@example.com")
    await world.sign_in(again)
    second = await me(again)
    assert second is not None
    assert (second["user_id"], second["email"]) == (first["user_id"], ADA)
    assert world.counts()[0] == 1


async def test_github_signs_in_by_its_primary_verified_address(world: World) -> None:
    """The address that the profile shows counts for nothing."""
    world.provider.be(583231, None)
    world.provider.emails = [
        {"email": "old@example.com", "primary": False, "verified": True},
        {"email": ADA, "primary": True, "verified": True},
    ]
    ada = await world.house.browser()
    assert (await world.sign_in(ada, "github")).headers["Location"] == "/"
    found = await me(ada)
    assert found is not None
    assert found["email"] == ADA
    bob = await world.house.browser()
    world.provider.be(99, None)
    world.provider.emails = [{"email": "bob@example.com", "primary": True, "verified": False}]
    assert why(await world.sign_in(bob, "github")) == "unverified"


async def test_elliptic_signatures_and_new_keys_are_taken(world: World) -> None:
    """A key that came after the keys were read is asked for again, once in a while."""
    provider, curve = world.provider, world.provider.curve
    provider.cheat = Cheat(keys=lambda keys: keys.pop())
    assert await me(await _signed(world)) is not None
    provider.cheat = Cheat(
        sign=lambda claims, key: jwt.encode({"alg": "ES256", "kid": "curve"}, claims, curve)
    )
    assert why(await world.sign_in(await world.house.browser())) == "provider"
    await world.house.rt.clock.advance(31)
    assert await me(await _signed(world)) is not None
    assert provider.asked.count("keys") == 2


async def _signed(world: World) -> Browser:
    browser = await world.house.browser()
    await world.sign_in(browser)
    return browser


async def test_userinfo_tells_an_address_that_the_token_leaves_out(world: World) -> None:
    """It must be of the same person."""
    world.provider.be("sub-9", None)
    world.provider.cheat = Cheat(userinfo={"email": ADA, "email_verified": True})
    found = await me(await _signed(world))
    assert found is not None
    assert found["email"] == ADA


async def test_a_proven_account_is_linked_by_its_verified_address(world: World) -> None:
    """Proven here by a code and verified there: one account; a new session, the old one ends."""
    ada = await world.house.signed_in(ADA)
    before = await me(ada)
    old = ada.cookies["pylon_session"]
    await world.sign_in(ada)
    after = await me(ada)
    assert before is not None
    assert after is not None
    assert after["user_id"] == before["user_id"]
    assert ada.cookies["pylon_session"] != old
    stale = await world.house.program()
    stale.token = old
    assert await me(stale) is None


async def test_a_link_is_made_by_who_is_signed_in_and_undone(world: World) -> None:
    """Another address at the provider is no matter where the person links it himself."""
    ada = await world.house.signed_in(ADA)
    world.provider.be("sub-5", "elsewhere@example.com", verified=False)
    assert (await world.sign_in(ada, query="?link=1")).headers["Location"] == "/"
    linked = (await ada.get("/api/auth/identities")).body["identities"]
    assert [one["subject"] for one in linked] == ["sub-5"]
    bob = await world.house.signed_in("bob@example.com")
    assert why(await world.sign_in(bob, query="?link=1")) == "linked_elsewhere"
    found = await me(await _signed(world))
    assert found is not None
    assert found["email"] == ADA
    assert (await ada.ask("DELETE", "/api/auth/identities/test")).status == 204
    assert (await ada.ask("DELETE", "/api/auth/identities/test")).status == 404
    assert why(await world.sign_in(await world.house.browser())) == "unverified"


async def test_a_guest_keeps_his_rows(world: World) -> None:
    """A guest who signs in by a provider is the same user afterwards."""
    guest = await world.house.browser()
    assert (await guest.post("/api/auth/guest", {})).status == 200
    before = await me(guest)
    await world.sign_in(guest)
    after = await me(guest)
    assert before is not None
    assert after is not None
    assert (after["user_id"], after["email"]) == (before["user_id"], ADA)


async def test_threat_41_what_a_stranger_planted_dies_with_the_takeover(world: World) -> None:
    """A password and a session made before the address was proven stop working."""
    stranger = await world.house.browser()
    planted = {"email": ADA, "password": "a long planted password"}
    assert (await stranger.post("/api/auth/password/register", planted)).status == 200
    assert await me(stranger) is not None
    world.provider.be("stranger", "x@example.com", verified=False)
    await world.sign_in(stranger, query="?link=1")
    world.provider.be("sub-1", ADA)
    ada = await _signed(world)
    found = await me(ada)
    assert found is not None
    assert found["email"] == ADA
    assert await me(stranger) is None
    assert (await stranger.post("/api/auth/password/login", planted)).status == 401
    world.provider.be("stranger", "x@example.com", verified=False)
    assert why(await world.sign_in(await world.house.browser())) == "unverified"


async def test_threat_41_who_is_out_by_the_time_that_the_provider_answers_links_nobody(
    world: World,
) -> None:
    """A link that is under way when its session ends is not made, and signs nobody in."""
    ada, services = await world.house.signed_in(ADA), world.house.services
    inner = services.oauth.person

    async def late(*given: Any) -> Any:
        person = await inner(*given)
        await services.people.revoke(ADA)
        return person

    services.oauth.person = late  # type: ignore[method-assign,assignment]
    world.provider.be("sub-5", "elsewhere@example.com")
    assert why(await world.sign_in(ada, query="?link=1")) == "refused"
    assert await me(ada) is None
    assert world.counts()[2] == 0


# --- ways that lead nowhere

Change = Callable[[Claims], None]


def _claims(**changes: Any) -> Cheat:
    """Return a provider that says these; None leaves one out."""

    def change(claims: Claims) -> None:
        for name, value in changes.items():
            claims.pop(name, None)
            if value is not None:
                claims[name] = value(claims) if callable(value) else value

    return Cheat(claims=change)


def _now(world: World) -> int:
    return world.provider.now()


TOKENS: dict[str, Callable[[World], Cheat]] = {
    "nonce missing": lambda w: _claims(nonce=None),
    "nonce of another sign-in": lambda w: _claims(nonce="another"),
    "issuer of another": lambda w: _claims(iss="https://accounts.example.com"),
    "issuer with a slash more": lambda w: _claims(iss=f"{w.provider.issuer}/"),
    "issuer missing": lambda w: _claims(iss=None),
    "audience of another app": lambda w: _claims(aud="another"),
    "audience missing": lambda w: _claims(aud=None),
    "audiences without azp": lambda w: _claims(aud=["pylon/app", "another"]),
    "azp of another app": lambda w: _claims(aud=["pylon/app", "another"], azp="another"),
    "expired": lambda w: _claims(exp=_now(w) - 120),
    "expiry missing": lambda w: _claims(exp=None),
    "expiry as text": lambda w: _claims(exp="never"),
    "not yet valid": lambda w: _claims(nbf=_now(w) + 600),
    "made in the future": lambda w: _claims(iat=_now(w) + 600),
    "made long ago": lambda w: _claims(iat=_now(w) - 86_400),
    "made at no time": lambda w: _claims(iat=None),
    "made at true": lambda w: _claims(iat=True),
    "hash of another access token": lambda w: _claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "subject missing": lambda w: _claims(sub=None),
    "subject empty": lambda w: _claims(sub=""),
    "subject a number": lambda w: _claims(sub=7),
    "subject too long": lambda w: _claims(sub="x" * 300),
    "no signature": lambda w: Cheat(sign=lambda claims, key: unsigned(claims)),
    "signed with the public key": lambda w: Cheat(
        sign=lambda claims, key: hashed_with(key.as_pem(private=False), claims)
    ),
    "signed with the client's secret": lambda w: Cheat(
        sign=lambda claims, key: hashed_with(CLIENT_SECRET.encode(), claims)
    ),
    "signed by a stranger": lambda w: Cheat(
        sign=lambda claims, key: jwt.encode(
            {"alg": "RS256", "kid": "one"}, claims, w.provider.stranger
        )
    ),
    "signed by an unknown key": lambda w: Cheat(
        sign=lambda claims, key: jwt.encode(
            {"alg": "RS256", "kid": "unheard-of"}, claims, w.provider.stranger
        )
    ),
    "keys that are secrets": lambda w: Cheat(
        keys=lambda keys: keys.__setitem__(slice(None), [{"kty": "oct", "k": "AAAA", "kid": "one"}])
    ),
    "no keys": lambda w: Cheat(keys=lambda keys: keys.clear()),
    "no ID token": lambda w: Cheat(answer=lambda answer: answer.pop("id_token")),
    "an ID token that is a list": lambda w: Cheat(answer=lambda a: a.update(id_token=[])),
    "no access token": lambda w: Cheat(answer=lambda answer: answer.pop("access_token")),
    "two people": lambda w: Cheat(
        claims=lambda claims: claims.pop("email"),
        userinfo={"sub": "another", "email": ADA, "email_verified": True},
    ),
    "a redirect instead of a token": lambda w: Cheat(
        token=lambda: web.Response(status=307, headers={"Location": "/elsewhere"})
    ),
    "a token endpoint that fails": lambda w: Cheat(
        token=lambda: web.json_response({"error": "server_error"}, status=500)
    ),
    "an answer that is no JSON": lambda w: Cheat(token=lambda: web.Response(text="<html>")),
    "an answer that is a list": lambda w: Cheat(token=lambda: web.json_response([1])),
    "an answer without end": lambda w: Cheat(token=lambda: web.Response(body=b" " * 2_000_000)),
    "another issuer's metadata": lambda w: Cheat(
        metadata=lambda published: published.update(issuer="https://accounts.example.com")
    ),
    "keys over plain http": lambda w: Cheat(
        metadata=lambda published: published.update(jwks_uri="http://192.0.2.1/keys")
    ),
    "a token endpoint over plain http": lambda w: Cheat(
        metadata=lambda published: published.update(token_endpoint="http://192.0.2.1/token")
    ),
    "an issuer that must name itself and does not": lambda w: Cheat(
        metadata=lambda published: published.update(
            authorization_response_iss_parameter_supported=True
        )
    ),
    "back from another issuer": lambda w: Cheat(
        back=lambda query: query.update(iss="https://accounts.example.com")
    ),
    "back without a code": lambda w: Cheat(back=lambda query: query.pop("code")),
    "back with a code of nobody": lambda w: Cheat(back=lambda query: query.update(code="guess")),
    "back with a long code": lambda w: Cheat(back=lambda query: query.update(code="x" * 5_000)),
}
UNVERIFIED: dict[str, Cheat] = {
    "false": _claims(email_verified=False),
    "missing": _claims(email_verified=None),
    "the text true": _claims(email_verified="true"),
    "one": _claims(email_verified=1),
    "no address": _claims(email=None),
    "an address that is none": _claims(email="ada@@example"),
    "two addresses": _claims(email=[ADA]),
}


@pytest.mark.parametrize("evil", TOKENS)
async def test_threat_40_a_provider_that_cheats_signs_nobody_in(world: World, evil: str) -> None:
    """Nobody is signed in, no account and no link came to be, and no redirect was followed."""
    world.provider.cheat = TOKENS[evil](world)
    browser = await world.house.browser()
    answer = await browser.get(START.format("test"))
    if answer.headers["Location"].startswith("http"):
        back = world.provider.consent(answer.headers["Location"])
        answer = await world.come_back(browser, back)
    assert why(answer) == "provider"
    assert await me(browser) is None
    assert world.counts() == (0, 0, 0)
    assert "elsewhere" not in world.provider.asked


@pytest.mark.parametrize("evil", UNVERIFIED)
async def test_threat_41_an_unverified_address_opens_nothing(world: World, evil: str) -> None:
    """Neither the account that has the address here, nor a new one."""
    await world.house.signed_in(ADA)
    before = world.counts()
    world.provider.cheat = UNVERIFIED[evil]
    browser = await world.house.browser()
    assert why(await world.sign_in(browser)) == "unverified"
    assert await me(browser) is None
    assert world.counts() == before


async def test_an_issuer_may_be_trusted_with_no_address(world: World) -> None:
    """With trust_email off, only what a person linked himself signs in."""
    assert why(await world.sign_in(await world.house.browser(), "wary")) == "unverified"
    ada = await world.house.signed_in(ADA)
    await world.sign_in(ada, "wary", "?link=1")
    browser = await world.house.browser()
    await world.sign_in(browser, "wary")
    assert await me(browser) is not None


State = Callable[[World, Browser, str], Awaitable[Answer]]


async def _no_state(world: World, browser: Browser, back: str) -> Answer:
    return await browser.get(BACK.format("test") + "?code=x")


async def _wrong_state(world: World, browser: Browser, back: str) -> Answer:
    return await world.come_back(browser, back.replace("state=", "state=x"))


async def _another_browser(world: World, browser: Browser, back: str) -> Answer:
    other = await world.house.browser()
    await world.leave(other)  # it has a secret, and it is another's
    answer = await world.come_back(other, back)
    assert await me(other) is None
    return answer


async def _no_browser(world: World, browser: Browser, back: str) -> Answer:
    return await world.come_back(await world.house.program(), back)


async def _too_late(world: World, browser: Browser, back: str) -> Answer:
    await world.house.rt.clock.advance(601)
    return await world.come_back(browser, back)


async def _another_provider(world: World, browser: Browser, back: str) -> Answer:
    return await world.come_back(browser, back.replace("/test/", "/other/"))


async def _refused(world: World, browser: Browser, back: str) -> Answer:
    state = parse_qs(urlsplit(back).query)["state"][0]
    answer = await browser.get(BACK.format("test") + f"?error=access_denied&state={state}")
    assert why(answer) == "cancelled"
    return await world.come_back(browser, back)  # the state is used up by it


@pytest.mark.parametrize(
    "how", [_no_state, _wrong_state, _another_browser, _no_browser, _too_late, _another_provider,
            _refused]
)  # fmt: skip
async def test_threat_40_a_state_that_does_not_fit_signs_nobody_in(
    world: World, how: State
) -> None:
    """Its own browser, its own provider, ten minutes, once: otherwise it has expired."""
    browser = await world.house.browser()
    back = world.provider.consent(await world.leave(browser))
    assert why(await how(world, browser, back)) == "expired"
    assert await me(browser) is None
    assert world.counts() == (0, 0, 0)


async def test_threat_40_a_state_works_once(world: World) -> None:
    """The same answer twice, as the back button sends it."""
    browser = await world.house.browser()
    back = world.provider.consent(await world.leave(browser))
    await world.come_back(browser, back)
    assert why(await world.come_back(browser, back)) == "expired"
    assert world.counts() == (1, 1, 1)


async def test_threat_40_a_code_of_somebody_else_is_worth_nothing(world: World) -> None:
    """A stolen code put into one's own answer fails at the provider: its verifier is another's."""
    victim, thief = await world.house.browser(), await world.house.browser()
    stolen = parse_qs(urlsplit(world.provider.consent(await world.leave(victim))).query)["code"][0]
    world.provider.cheat = Cheat(back=lambda query: query.update(code=stolen))
    assert why(await world.sign_in(thief)) == "provider"
    assert world.counts() == (0, 0, 0)


async def test_threat_37_nobody_is_signed_in_as_somebody_else_by_a_link(world: World) -> None:
    """An attacker's own answer, opened in the victim's browser, signs the victim in as nobody."""
    attacker, victim = await world.house.browser(), await world.house.signed_in(ADA)
    world.provider.be("attacker", "mallory@example.com")
    back = world.provider.consent(await world.leave(attacker))
    assert why(await world.come_back(victim, back)) == "expired"
    found = await me(victim)
    assert found is not None
    assert found["email"] == ADA


async def test_a_link_needs_the_same_person_at_its_end(world: World) -> None:
    """Who signed in as another meanwhile links nothing; nor does who is not signed in at all."""
    ada = await world.house.signed_in(ADA)
    back = world.provider.consent(await world.leave(ada, query="?link=1"))
    await ada.send("bob@example.com")
    await ada.verify("bob@example.com", world.house.code("bob@example.com"))
    assert why(await world.come_back(ada, back)) == "expired"
    nobody = await world.house.browser()
    assert (await nobody.get(START.format("test") + "?link=1")).status == 401
    assert world.counts()[2] == 0


async def test_half_a_sign_in_links_nothing(world: World) -> None:
    """Where a second factor is asked for, a verified address alone leaves no way in behind."""
    ada = await world.house.signed_in(ADA)
    await ada.send(ADA)
    begun = await ada.post("/api/auth/totp", {"code": world.house.code(ADA)})
    assert begun.status == 201, begun.body
    secret = base64.b32decode(begun.body["secret"] + "=" * (-len(begun.body["secret"]) % 8))
    now = totp_code(secret, world.house.services.clock.now_ms() // 30_000)
    assert (await ada.post("/api/auth/totp/confirm", {"totp": now})).status == 200
    stranger = await world.house.browser()
    answer = await world.sign_in(stranger)
    assert answer.headers["Location"].startswith("/auth/?step=totp")
    assert await me(stranger) is None
    assert world.counts()[2] == 0
    assert (await world.sign_in(ada, query="?link=1")).status == 303
    assert world.counts()[2] == 1, "who is in the account links it himself"


async def test_a_closed_account_stays_closed(world: World) -> None:
    """A disabled account is refused, in words that say no more."""
    ada = await _signed(world)
    found = await me(ada)
    assert found is not None
    await world.house.services.people.set_disabled(found["user_id"], disabled=True)
    assert why(await world.sign_in(await world.house.browser())) == "refused"


async def test_an_unknown_provider_is_not_found(world: World) -> None:
    """Nor does a name lead anywhere else."""
    browser = await world.house.browser()
    for name in ("nobody", "..%2f..", "test%00"):
        assert (await browser.get(START.format(name))).status == 404
        assert (await browser.get(BACK.format(name))).status == 404


async def test_the_way_out_carries_everything_once(world: World) -> None:
    """State, nonce and challenge are new each time; no secret stands in an address (I71)."""
    browser = await world.house.browser()
    urls = [urlsplit(await world.leave(browser)) for _ in range(2)]
    asked = [parse_qs(one.query, strict_parsing=True) for one in urls]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 43
    assert asked[0]["redirect_uri"] == [f"{URL}{BACK.format('test')}"]
    assert asked[0]["scope"] == ["openid email profile"]
    assert CLIENT_SECRET not in json.dumps(asked)


async def test_the_sign_in_page_knows_the_providers(world: World) -> None:
    """Name, label and where to go; nothing of a secret."""
    answer = (await (await world.house.browser()).get("/api/auth/providers")).body
    assert [(one["name"], one["label"]) for one in answer["oauth"]] == [
        ("test", "Test"), ("other", "Other"), ("github", "GitHub"), ("wary", "Wary"),
    ]  # fmt: skip
    assert answer["oauth"][0]["start"] == START.format("test")
    assert CLIENT_SECRET not in json.dumps(answer)
