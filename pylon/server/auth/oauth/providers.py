"""Who signs people in elsewhere: providers as the settings name them, and what they publish.

Pure. GitHub speaks OAuth only and has fixed addresses; Google and every other OIDC issuer
publish theirs (OpenID Connect Discovery 1.0), which are held to the issuer that was configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pylon.errors import ProviderFailed
from pylon.server.hosts import is_this_machine

_GITHUB: Final = "https://github.com"
_GOOGLE: Final = "https://accounts.google.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider of the settings; `[auth.oauth.NAME]`."""

    name: str
    #: What the sign-in page calls it.
    label: str
    client_id: str
    client_secret: str = field(repr=False)
    #: The issuer's address, without a slash at its end unless it publishes one.
    issuer: str
    is_github: bool
    scopes: tuple[str, ...]
    #: An address that it calls verified opens the account that has it here.
    trusts_email: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a provider is asked what."""

    authorize: str
    token: str
    #: The keys of ID tokens; None for GitHub, which has none.
    keys: str | None
    #: About the person; OIDC providers put it into the ID token as well.
    person: str | None
    #: The person's addresses (GitHub).
    emails: str | None = None
    #: The secret goes into the Authorization header, otherwise into the body.
    is_basic: bool = True
    #: It says who it is on the way back (RFC 9207).
    names_itself: bool = False


def provider_of(name: str, given: Mapping[str, Any]) -> Provider:
    """Return the provider that a section of the settings describes, with what it leaves out."""
    is_github = given.get("kind", "github" if name == "github" else "oidc") == "github"
    issuer = given.get("issuer", _GITHUB if is_github else _GOOGLE if name == "google" else "")
    own = ("read:user", "user:email") if is_github else ("openid", "email", "profile")
    label = {"github": "GitHub", "google": "Google"}.get(name, name.capitalize())
    return Provider(
        name=name, label=given.get("label", label), client_id=given["client_id"],
        client_secret=given.get("client_secret", ""), issuer=issuer, is_github=is_github,
        scopes=tuple(given.get("scopes", own)), trusts_email=given.get("trust_email", True),
    )  # fmt: skip


def is_safe_url(url: object) -> bool:
    """Tell whether a secret may travel there: https, or this machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))


def metadata_url(provider: Provider) -> str:
    """Return where an OIDC issuer publishes its addresses."""
    from authlib.oidc.discovery import get_well_known_url

    return str(get_well_known_url(provider.issuer, external=True))


def github_endpoints(provider: Provider) -> Endpoints:
    """Return the addresses of GitHub, or of a GitHub server of one's own."""
    base = provider.issuer.rstrip("/")
    api = "https://api.github.com" if base == _GITHUB else f"{base}/api/v3"
    return Endpoints(
        authorize=f"{base}/login/oauth/authorize", token=f"{base}/login/oauth/access_token",
        keys=None, person=f"{api}/user", emails=f"{api}/user/emails", is_basic=False,
    )  # fmt: skip


def oidc_endpoints(provider: Provider, published: Mapping[str, Any]) -> Endpoints:
    """Return what an issuer publishes about itself; raises ProviderFailed.

    The issuer must call itself exactly what the settings call it: otherwise one issuer could
    speak for another (OpenID Connect Discovery 1.0, section 4.3).
    """
    if published.get("issuer") != provider.issuer:
        raise ProviderFailed("the provider publishes another issuer than the settings name")
    urls = {
        name: published.get(name)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    }
    for name, url in urls.items():
        if not is_safe_url(url):
            raise ProviderFailed(f"the provider publishes no {name} over https")
    methods = published.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    person = published.get("userinfo_endpoint")
    return Endpoints(
        authorize=str(urls["authorization_endpoint"]), token=str(urls["token_endpoint"]),
        keys=str(urls["jwks_uri"]), person=person if is_safe_url(person) else None,
        is_basic="client_secret_basic" in methods,
        names_itself=published.get("authorization_response_iss_parameter_supported") is True,
    )  # fmt: skip
