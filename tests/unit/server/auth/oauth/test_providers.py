"""Providers of the settings, and what of their published addresses is believed."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.errors import ProviderFailed
from pylon.server.auth.oauth.providers import (
    github_endpoints,
    is_safe_url,
    metadata_url,
    oidc_endpoints,
    provider_of,
)

ISSUER = "https://id.example.com/realms/x"
PUBLISHED = {
    "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/certs",
}  # fmt: skip


def _provider(name: str = "house", **given: Any) -> Any:
    return provider_of(name, {"client_id": "app", **given})


def test_presets_know_their_issuers() -> None:
    """GitHub and Google need nothing but a client; others name their issuer."""
    assert github_endpoints(_provider("github")).person == "https://api.github.com/user"
    own = _provider("work", kind="github", issuer="https://git.example.com/")
    assert github_endpoints(own).token == "https://git.example.com/login/oauth/access_token"
    assert metadata_url(_provider("google")) == (
        "https://accounts.google.com/.well-known/openid-configuration"
    )
    assert metadata_url(_provider(issuer=ISSUER)).startswith(f"{ISSUER}/.well-known/")


@pytest.mark.parametrize(
    "issuer", [None, "", f"{ISSUER}/", ISSUER.upper(), "https://id.example.com", 7]
)
def test_an_issuer_that_calls_itself_otherwise_is_refused(issuer: object) -> None:
    """To the letter: a slash more is another issuer."""
    with pytest.raises(ProviderFailed):
        oidc_endpoints(_provider(issuer=ISSUER), {**PUBLISHED, "issuer": issuer})


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("url", [None, "http://id.example.com/x", "javascript:x", "//x/y", ""])
def test_addresses_are_https(name: str, url: object) -> None:
    """A secret travels to no address that anybody on the way can read."""
    with pytest.raises(ProviderFailed):
        oidc_endpoints(_provider(issuer=ISSUER), {**PUBLISHED, name: url})


def test_how_the_secret_travels_is_what_is_published() -> None:
    """In the header, which is the default, or in the body."""
    provider = _provider(issuer=ISSUER)
    assert oidc_endpoints(provider, PUBLISHED).is_basic
    posts = {**PUBLISHED, "token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert not oidc_endpoints(provider, posts).is_basic
    assert oidc_endpoints(provider, {**PUBLISHED, "userinfo_endpoint": "http://x/"}).person is None


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [("https://a.example/x", True), ("http://127.0.0.1:8/x", True), ("http://[::1]:8/x", True),
     ("http://localhost/x", True), ("http://127.0.0.1.evil.example/x", False),
     ("http://localhost.evil.example/", False), ("https://u:p@a.example/", False),
     ("https://", False), ("https://a.example/#x", False), ("ftp://a.example/", False),
     ("http://0.0.0.0/", False), ("https://a.example:port/", False)],
)  # fmt: skip
def test_only_this_machine_may_do_without_https(url: str, is_safe: bool) -> None:
    """A name that only begins like this machine's is another machine."""
    assert is_safe_url(url) is is_safe
