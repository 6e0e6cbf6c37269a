"""ID tokens without a network: texts that are none, and the edges of time."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from pylon.errors import ProviderFailed
from pylon.server.auth.oauth.id_token import Expected, person_of, public_keys, verified_email

NOW = 1_800_000_000
EXPECTED = Expected(
    issuer="https://id.example", client_id="app", nonce="n", access_token=None, now_s=NOW
)


@cache
def _key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "k"})


def _keys() -> KeySet:
    return public_keys({"keys": [_key().as_dict(private=False)]})


def _token(**changes: Any) -> str:
    claims = {"iss": "https://id.example", "aud": "app", "sub": "s", "nonce": "n", "iat": NOW,
              "exp": NOW + 60, **changes}  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": "k"}, claims, _key())


def test_who_it_is() -> None:
    """Issuer and subject; an address where it is verified."""
    person = person_of(_token(email="a@x", email_verified=True), _keys(), EXPECTED)
    assert (person.issuer, person.subject, person.email) == ("https://id.example", "s", "a@x")


@pytest.mark.parametrize(("made", "is_good"), [(NOW + 60, True), (NOW + 61, False),
                                               (NOW - 900, True), (NOW - 901, False)])  # fmt: skip
def test_clocks_may_differ_by_a_minute(made: int, is_good: bool) -> None:
    """And a token of a quarter of an hour ago is of another sign-in."""
    token = _token(iat=made, exp=NOW + 600)
    if is_good:
        person_of(token, _keys(), EXPECTED)
    else:
        with pytest.raises(ProviderFailed):
            person_of(token, _keys(), EXPECTED)


@given(st.one_of(st.none(), st.integers(), st.text(max_size=60), st.binary(max_size=20),
                 st.lists(st.text(alphabet="abAB0_-=", max_size=20), min_size=3, max_size=5)
                 .map(".".join)))  # fmt: skip
def test_what_is_no_token_names_nobody(text: object) -> None:
    """Whatever it is, it is refused and nothing else is raised."""
    with pytest.raises(ProviderFailed):
        person_of(text, _keys(), EXPECTED)


@pytest.mark.parametrize("published", [
    {}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": [{"kty": "oct", "k": "AAAA"}]},
    {"keys": [{"kty": "RSA"}]}, {"keys": [{"kty": "EC", "crv": "P-1", "x": "", "y": ""}]},
    {"keys": [{"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}]},
])  # fmt: skip
def test_what_holds_no_public_key_is_refused(published: dict[str, Any]) -> None:
    """Secrets and keys for encryption sign nothing here."""
    with pytest.raises(ProviderFailed):
        public_keys(published)


@pytest.mark.parametrize("flag", [None, False, "true", 1, [True]])
def test_only_the_boolean_verifies(flag: object) -> None:
    """Nothing that looks like true is true."""
    assert verified_email({"email": "a@x", "email_verified": flag}) is None
