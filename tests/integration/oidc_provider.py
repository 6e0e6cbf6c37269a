"""An OpenID provider for tests: it checks its clients strictly, and can be made to cheat.

`cheat` holds what it does wrong; everything else is as the specifications want it. Beside it, in
the same server, what GitHub answers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "pylon/app", "s3cret+with/odd=signs"
Claims = dict[str, Any]


@cache
def _keys() -> tuple[RSAKey, RSAKey, ECKey]:
    """Return two keys of the same name, and one of another kind: they take long to make."""
    known = {"kid": "one", "use": "sig", "alg": "RS256"}
    curve = ECKey.generate_key("P-256", {"kid": "curve", "use": "sig", "alg": "ES256"})
    return RSAKey.generate_key(2048, known), RSAKey.generate_key(2048, known), curve


@dataclass
class Cheat:
    """What the provider does otherwise; the default is nothing."""

    claims: Callable[[Claims], None] = lambda claims: None
    metadata: Callable[[Claims], None] = lambda published: None
    keys: Callable[[list[dict[str, Any]]], None] = lambda keys: None
    #: Makes the token of claims, the provider's key and its client's secret.
    sign: Callable[[Claims, RSAKey], str] | None = None
    #: Answers in place of the token endpoint.
    token: Callable[[], web.StreamResponse] | None = None
    #: Changes the token endpoint's answer.
    answer: Callable[[dict[str, Any]], None] = lambda answer: None
    #: Changes what the browser comes back with.
    back: Callable[[dict[str, str]], None] = lambda query: None
    #: What userinfo says beside the subject.
    userinfo: Claims = field(default_factory=dict)


@dataclass
class Grant:
    """A code that was given out."""

    redirect_uri: str
    challenge: str
    nonce: str | None
    scope: str


class OidcProvider:
    """Serves on a port of its own; `person` is who signs in next."""

    def __init__(self) -> None:
        self.key, self.stranger, self.curve = _keys()
        #: The time by which it stamps tokens, Unix seconds.
        self.now: Callable[[], int] = lambda: int(time.time())
        self.person: Claims = {}
        self.cheat = Cheat()
        self.grants: dict[str, Grant] = {}
        self.asked: list[str] = []
        self.emails: list[dict[str, Any]] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def issuer(self) -> str:
        """Return its name."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes([
            web.get("/.well-known/openid-configuration", self._metadata),
            web.get("/authorize", self._authorize), web.post("/token", self._token),
            web.get("/keys", self._keys), web.get("/userinfo", self._userinfo),
            web.get("/login/oauth/authorize", self._authorize),
            web.post("/login/oauth/access_token", self._token),
            web.get("/api/v3/user", self._github_user),
            web.get("/api/v3/user/emails", self._github_emails),
            web.get("/elsewhere", self._elsewhere),
        ])  # fmt: skip
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.be("sub-1", "ada@example.com")

    async def close(self) -> None:
        """Stop."""
        assert self._runner is not None
        await self._runner.cleanup()

    def be(self, subject: Any, email: str | None, *, verified: Any = True) -> None:
        """Let somebody sign in next."""
        self.person = {"sub": subject, "email": email, "email_verified": verified}

    def section(self, name: str = "test", **more: Any) -> str:
        """Return the app's settings for it."""
        values = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "issuer": self.issuer}
        lines = [f"{key} = {json.dumps(value)}" for key, value in (values | more).items()]
        return f"[auth.oauth.{name}]\n" + "\n".join(lines) + "\n"

    def consent(self, url: str) -> str:
        """Return where the browser of somebody who agrees is sent back to."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(
            query["redirect_uri"], query["code_challenge"], query.get("nonce"), query["scope"]
        )
        back = {"code": code, "state": query["state"]}
        self.cheat.back(back)
        return f"{query['redirect_uri']}?{urlencode(back)}"

    # --- what it serves

    async def _metadata(self, request: web.Request) -> web.Response:
        published = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
        }
        self.cheat.metadata(published)
        return web.json_response(published)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPSeeOther(self.consent(str(request.url)))

    async def _keys(self, request: web.Request) -> web.Response:
        self.asked.append("keys")
        published = [one.as_dict(private=False) for one in (self.key, self.curve)]
        self.cheat.keys(published)
        return web.json_response({"keys": published})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("token")
        form = await request.post()
        if self.cheat.token is not None:
            return self.cheat.token()
        grant = self.grants.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        is_good = (
            grant is not None
            and form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == grant.redirect_uri
            and hmac.compare_digest(challenge, grant.challenge)
            and self._knows(request, form)
        )
        if grant is None or not is_good:
            return web.json_response({"error": "invalid_grant"}, status=400)
        answer: dict[str, Any] = {"access_token": "at-1", "token_type": "Bearer", "expires_in": 60}
        if "openid" in grant.scope:
            answer["id_token"] = self._id_token(grant)
        self.cheat.answer(answer)
        return web.json_response(answer)

    def _knows(self, request: web.Request, form: Any) -> bool:
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            text = base64.b64decode(header.removeprefix("Basic ")).decode()
            given = tuple(unquote_plus(one) for one in text.split(":"))
        else:
            given = (form.get("client_id"), form.get("client_secret"))
        return given == (CLIENT_ID, CLIENT_SECRET)

    def _id_token(self, grant: Grant) -> str:
        now = self.now()
        half = hashlib.sha256(b"at-1").digest()[:16]
        claims: Claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300,
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="), **self.person,
        }  # fmt: skip
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        self.cheat.claims(claims)
        if self.cheat.sign is not None:
            return self.cheat.sign(claims, self.key)
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer at-1"
        return web.json_response({"sub": self.person["sub"], **self.cheat.userinfo})

    async def _github_user(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer at-1"
        return web.json_response({"id": self.person["sub"], "login": "ada", "email": "shown@x.org"})

    async def _github_emails(self, request: web.Request) -> web.Response:
        return web.json_response(self.emails)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.asked.append("elsewhere")
        return web.json_response({})


def unsigned(claims: Claims) -> str:
    """Return a token with the algorithm none."""
    parts = [json.dumps(one).encode() for one in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts) + "."


def hashed_with(secret: bytes, claims: Claims) -> str:
    """Return a token whose signature is made with a secret, or with what is public."""
    header = {"alg": "HS256", "kid": "one"}
    parts = [json.dumps(one).encode() for one in (header, claims)]
    body = ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)
    signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
