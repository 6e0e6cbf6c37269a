"""One sign-in by a provider, from leaving to coming back: what is asked, and what is believed.

Pure. The way out carries a state, a nonce and the challenge of a verifier (PKCE, S256); what is
kept of them is bound to the browser, works once and for ten minutes (RFC 6749, 7636, 9207, 9700).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pylon import limits
from pylon.errors import ProviderFailed
from pylon.server.auth.oauth.providers import Endpoints, Provider
from pylon.server.auth.tokens import is_equal, new_token, token_hash
from pylon.server.storage.departures import Departure

_CODE_CHARACTERS_MAX: Final = 4_096
_STATE_CHARACTERS_MAX: Final = 128


def depart(
    provider: Provider, endpoints: Endpoints, *, redirect_uri: str, next_page: str, browser: str,
    user_id: str | None, now_ms: int, random_bytes: Callable[[int], bytes],
) -> tuple[str, Departure]:  # fmt: skip
    """Return the provider's address to send a browser to, and what is to be remembered."""
    state, nonce, verifier = (new_token(random_bytes) for _ in range(3))
    departure = Departure(
        provider=provider.name, state=token_hash(state), browser=token_hash(browser),
        verifier=verifier, nonce=nonce, redirect_uri=redirect_uri, next=next_page,
        user_id=user_id, created_at_ms=now_ms,
    )  # fmt: skip
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    challenge = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
    asked = {} if provider.is_github else {"nonce": nonce}
    url = prepare_grant_uri(
        endpoints.authorize, client_id=provider.client_id, response_type="code",
        redirect_uri=redirect_uri, scope=" ".join(provider.scopes), state=state,
        code_challenge=challenge, code_challenge_method="S256", **asked,
    )  # fmt: skip
    return str(url), departure


def state_of(answer: Mapping[str, str]) -> bytes:
    """Return the hash of the state that a browser came back with; raises ProviderFailed."""
    state = answer.get("state", "")
    if not 0 < len(state) <= _STATE_CHARACTERS_MAX:
        raise ProviderFailed("it came back without its state", reason="expired")
    return token_hash(state)


def arrive(
    provider: Provider, endpoints: Endpoints | None, departure: Departure | None,
    answer: Mapping[str, str], *, browser: str | None, user_id: str | None, now_ms: int,
) -> str:  # fmt: skip
    """Return the code that a browser came back with; raises ProviderFailed with its reason.

    Args:
        provider: whose callback it is.
        endpoints: the provider's; None where they are not known at the moment.
        departure: what was remembered of the state, which is forgotten by now.
        answer: the query of the callback.
        browser: the secret that the browser holds.
        user_id: who the browser is signed in as.
        now_ms: the time.
    """
    if departure is None or departure.provider != provider.name:
        raise ProviderFailed("its state is unknown, or was used", reason="expired")
    if browser is None or not is_equal(departure.browser, token_hash(browser)):
        raise ProviderFailed("it began in another browser", reason="expired")
    if now_ms - departure.created_at_ms > limits.OAUTH_SECONDS * 1000:
        raise ProviderFailed("it took too long", reason="expired")
    if departure.user_id is not None and departure.user_id != user_id:
        raise ProviderFailed("it is another's who is signed in now", reason="expired")
    named = answer.get("iss")
    is_asked = endpoints is not None and endpoints.names_itself
    if (named is not None or is_asked) and named != provider.issuer:
        raise ProviderFailed("it came back from another issuer")
    if "error" in answer:
        was_cancelled = answer["error"] == "access_denied"
        raise ProviderFailed(
            "the provider refused", reason="cancelled" if was_cancelled else "provider"
        )
    code = answer.get("code", "")
    if not 0 < len(code) <= _CODE_CHARACTERS_MAX:
        raise ProviderFailed("it came back without a code")
    return code
