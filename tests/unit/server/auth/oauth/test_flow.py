"""One sign-in by a provider, as a pure question and answer."""

from __future__ import annotations

from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pylon import limits
from pylon.errors import ProviderFailed
from pylon.server.auth.oauth.flow import arrive, depart, state_of
from pylon.server.auth.oauth.providers import Endpoints, provider_of
from pylon.server.auth.tokens import token_hash

NOW = 1_000_000
ENDPOINTS = Endpoints(authorize="https://id.example/a?tenant=1", token="https://id.example/t",
                      keys="https://id.example/k", person=None)  # fmt: skip
PROVIDER = provider_of("house", {"client_id": "app", "issuer": "https://id.example"})
ANSWER = {"code": "c", "state": "s"}


def _depart(**more: Any) -> Any:
    numbers = count()
    given = {
        "redirect_uri": "https://chat.example/back", "next_page": "/x", "browser": "b",
        "user_id": None, "now_ms": NOW, "random_bytes": lambda size: bytes([next(numbers)]) * size,
    }  # fmt: skip
    return depart(PROVIDER, ENDPOINTS, **(given | more))


def _arrive(answer: dict[str, str] = ANSWER, **more: Any) -> str:
    departure = more.pop("departure", _depart()[1])
    given = {"browser": "b", "user_id": None, "now_ms": NOW}
    return arrive(PROVIDER, more.pop("endpoints", ENDPOINTS), departure, answer, **(given | more))


def test_the_way_out_keeps_what_the_provider_wants_and_shows_no_verifier() -> None:
    """The provider's own parameters stay; what is remembered is hashed or stays here."""
    url, departure = _depart()
    asked = {name: one[0] for name, one in parse_qs(urlsplit(url).query).items()}
    assert asked["tenant"] == "1"
    assert departure.state == token_hash(asked["state"]) == state_of(asked)
    assert departure.nonce == asked["nonce"]
    assert departure.verifier not in url
    assert len(departure.verifier) >= 43


def test_who_fits_arrives() -> None:
    """To the last millisecond."""
    assert _arrive(now_ms=NOW + int(limits.OAUTH_SECONDS * 1000)) == "c"


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"departure": None}, "expired"), ({"browser": None}, "expired"),
     ({"browser": "other"}, "expired"), ({"now_ms": NOW + 600_001}, "expired"),
     ({"answer": {"state": "s"}}, "provider"), ({"answer": {"state": "s", "code": ""}}, "provider"),
     ({"answer": {"state": "s", "error": "access_denied"}}, "cancelled"),
     ({"answer": {**ANSWER, "error": "server_error"}}, "provider"),
     ({"answer": {**ANSWER, "iss": "https://evil.example"}}, "provider")],
)  # fmt: skip
def test_who_does_not_fit_is_told_why(more: dict[str, Any], reason: str) -> None:
    """The reason is for the sign-in page."""
    with pytest.raises(ProviderFailed) as caught:
        _arrive(**more)
    assert caught.value.reason == reason


def test_a_link_is_the_same_persons() -> None:
    """Who asked for it is who comes back."""
    _, departure = _depart(user_id="ada")
    assert _arrive(departure=departure, user_id="ada") == "c"
    for other in (None, "bob"):
        with pytest.raises(ProviderFailed):
            _arrive(departure=departure, user_id=other)


@pytest.mark.parametrize("answer", [{}, {"state": ""}, {"state": "x" * 129}])
def test_a_state_is_needed(answer: dict[str, str]) -> None:
    """Without one there is nothing to look up."""
    with pytest.raises(ProviderFailed):
        state_of(answer)
