"""What holds a secret does not show it: a repr ends in logs, tracebacks and the dashboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.identity import SYSTEM
from pylon.server.auth.codes import SentCode
from pylon.server.auth.oauth.id_token import Expected
from pylon.server.auth.oauth.providers import Provider
from pylon.server.auth.sessions import Issued
from pylon.server.auth.sign_in import Visitor
from pylon.server.config import ServerConfig
from pylon.server.mail.message import Mail
from pylon.server.mail.smtp import parse_url
from pylon.server.storage.credentials import Totp
from pylon.server.storage.departures import Departure
from pylon.server.storage.jobs import ClaimedJob, NewJob
from pylon.server.storage.login_sessions import LoginSession

SECRET = "S3CR3T"
HOLDERS = [
    SentCode("ada@example.com", SECRET, SECRET, 0),
    Issued(SECRET, LoginSession("s", "u", "session", None, 0, 0)),
    Visitor(second_factor=SECRET),
    Totp(SECRET.encode(), is_confirmed=True, step=0),
    Provider(
        name="p", label="P", client_id="c", client_secret=SECRET, issuer="i", is_github=False,
        scopes=(), trusts_email=True,
    ),
    Expected(issuer="i", client_id="c", nonce=SECRET, access_token=SECRET, now_s=0),
    Departure(
        provider="p", state=b"", browser=b"", verifier=SECRET, nonce=SECRET, redirect_uri="r",
        next="/", user_id=None, created_at_ms=0,
    ),
    Mail(to="ada@example.com", subject="Your code", text=SECRET, html=SECRET),
    NewJob(id="j", name="pylon.mail", queue="mail", args=SECRET, identity=SYSTEM, retries=0),
    ClaimedJob(1, "j", "pylon.mail", "mail", SECRET, "system", None, 1, 0, 1),
    parse_url(f"smtp://user:{SECRET}@mail.example.com"),
    ServerConfig(Path("app"), is_dev=False, values={"mail.url": f"smtp://u:{SECRET}@m.example"}),
]  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda one: type(one).__name__)
def test_a_repr_has_no_secret(holder: object) -> None:
    """Neither as it is shown, nor as it is formatted."""
    assert type(holder).__name__ in repr(holder)
    assert SECRET not in f"{holder!r} {holder}"
