"""ID tokens: whose signature, for whom, from whom, and when (OpenID Connect Core 1.0, 3.1.3.7).

Pure. The signature is checked with the issuer's published keys and algorithms with a public key
only; the claims by Authlib, and here what it leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pylon.errors import ProviderFailed

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

#: None of them works with a secret or without a key.
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
_KEY_TYPES: Final = ("RSA", "EC", "OKP")
#: Clocks differ by so much.
_LEEWAY_SECONDS: Final = 60
#: A token that was made longer ago is of another sign-in.
_AGE_SECONDS_MAX: Final = 900
_SUBJECT_CHARACTERS_MAX: Final = 255
_TOKEN_CHARACTERS_MAX: Final = 32_768


class UnknownKey(ProviderFailed):
    """The token names a key that is not among the issuer's: they may have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who somebody is at a provider."""

    issuer: str
    subject: str
    #: An address that the provider has verified; None where it has none.
    email: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    access_token: str | None = field(repr=False)
    now_s: int


def public_keys(published: Mapping[str, Any]) -> KeySet:
    """Return the public keys of a key set for signatures; raises ProviderFailed.

    Keys of kinds that we do not know are left out, and secrets, which have no place there.
    """
    # Loaded with the first sign-in by a provider: a start does without.
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    keys = published.get("keys")
    found = [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"
    ]
    if not found:
        raise ProviderFailed("the provider publishes no keys")
    try:
        return KeySet.import_key_set({"keys": found})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProviderFailed("the provider's keys cannot be read") from error


def person_of(token: object, keys: KeySet, expected: Expected) -> Person:
    """Return whom an ID token is about; raises ProviderFailed, and UnknownKey."""
    from joserfc import jwt
    from joserfc.errors import InvalidKeyIdError, JoseError

    if not isinstance(token, str) or not 0 < len(token) <= _TOKEN_CHARACTERS_MAX:
        raise ProviderFailed("the provider sent no ID token")
    try:
        decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    except InvalidKeyIdError as error:
        raise UnknownKey("no key of the provider fits the ID token") from error
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProviderFailed(f"the ID token is not the provider's: {_name(error)}") from error
    claims = decoded.claims
    _check_claims(claims, decoded.header, expected)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS_MAX:
        raise ProviderFailed("the ID token names nobody")
    return Person(issuer=expected.issuer, subject=subject, email=verified_email(claims))


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the address that claims call verified: by the boolean, and by nothing like it."""
    email = claims.get("email")
    return email if isinstance(email, str) and claims.get("email_verified") is True else None


def _check_claims(claims: dict[str, Any], header: dict[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise ProviderFailed("the ID token is another issuer's")
    audience = claims.get("aud")
    if expected.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise ProviderFailed("the ID token is for another app")
    from authlib.oidc.core import CodeIDToken
    from joserfc.errors import JoseError

    checked = CodeIDToken(
        claims, header,
        params={
            "nonce": expected.nonce, "client_id": expected.client_id,
            "access_token": expected.access_token,
        },
    )  # fmt: skip
    try:
        checked.validate(now=expected.now_s, leeway=_LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError) as error:
        raise ProviderFailed(f"the ID token does not hold: {_name(error)}") from error
    made = claims.get("iat")
    if isinstance(made, bool) or not isinstance(made, int | float):
        raise ProviderFailed("the ID token does not say when it was made")
    if not -_LEEWAY_SECONDS <= expected.now_s - made <= _AGE_SECONDS_MAX:
        raise ProviderFailed("the ID token was made at another time")


def _name(error: Exception) -> str:
    """Return what kind of fault it is; a message could repeat what stands in the token."""
    claim = getattr(error, "claim", None)
    return f"{type(error).__name__}{f' ({claim})' if isinstance(claim, str) else ''}"
