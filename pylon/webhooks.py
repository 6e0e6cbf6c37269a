"""What a webhook is given and may answer, and how it finds out who sent it.

@app.webhook("stripe")
async def stripe(ctx, request):
    webhooks.check_stripe(request, os.environ["STRIPE_WEBHOOK_SECRET"])
    event = request.json()

Signatures are compared in constant time, over the bytes as they came. Where a scheme signs a time,
it may differ from the runtime's by five minutes unless `tolerance_s` says otherwise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pylon import jsonvalue
from pylon.errors import InvalidSignature

TOLERANCE_SECONDS: Final = 300.0
#: One secret, or several of which any will do while they are being changed.
Secrets = str | bytes | Iterable[str | bytes]
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
#: More signatures in one header than anybody sends are not looked at.
_SIGNATURES_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """The request as it came: nothing of it was judged."""

    name: str
    method: str
    #: The names of headers in any case; the first of several.
    headers: Mapping[str, str]
    #: The query string's parameters; the first of several.
    query: Mapping[str, str]
    body: bytes = field(repr=False)
    #: The network that it came from.
    address: str
    #: When it came, in milliseconds since 1970.
    received_at_ms: int

    def json(self) -> Any:
        """Return the body as strict JSON; raises InvalidJson (400)."""
        return jsonvalue.parse(self.body)

    def text(self) -> str:
        """Return the body as text; what is no UTF-8 is marked."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a webhook answers, where a value alone does not say it: `json` or `body`."""

    status: int = 200
    json: Any = None
    body: bytes | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def check_stripe(
    request: WebhookRequest, secret: Secrets, *, tolerance_s: float = TOLERANCE_SECONDS
) -> None:
    """Raise InvalidSignature unless `Stripe-Signature` is right: `t=…,v1=…`."""
    given = [
        part.strip().partition("=") for part in _header(request, "Stripe-Signature").split(",")
    ]
    times = [value for name, _, value in given if name == "t"]
    found = [value for name, _, value in given if name == "v1"]
    if len(times) != 1:
        raise InvalidSignature
    _check_time(request, times[0], tolerance_s)
    signed = times[0].encode() + b"." + request.body
    _check(found, [_hex(one, signed, "sha256") for one in _secrets(secret)])


def check_github(request: WebhookRequest, secret: Secrets) -> None:
    """Raise InvalidSignature unless `X-Hub-Signature-256` is right. It signs no time."""
    check_hmac(request, secret, header="X-Hub-Signature-256", prefix="sha256=")


def check_standard(
    request: WebhookRequest, secret: Secrets, *, tolerance_s: float = TOLERANCE_SECONDS
) -> None:
    """Raise InvalidSignature unless it is right by Standard Webhooks (Svix and others).

    The secret is `whsec_` and base64; the headers begin with `webhook-` or `svix-`.
    """
    for head in ("webhook", "svix"):
        if f"{head}-signature" in request.headers:
            break
    message, at = _header(request, f"{head}-id"), _header(request, f"{head}-timestamp")
    _check_time(request, at, tolerance_s)
    signed = f"{message}.{at}.".encode("utf-8", "surrogateescape") + request.body
    given = [part.partition(",") for part in _header(request, f"{head}-signature").split()]
    wanted = [
        base64.b64encode(hmac.digest(_standard_key(one), signed, "sha256")).decode()
        for one in _secrets(secret)
    ]
    _check([value for version, _, value in given if version == "v1"], wanted)


def check_hmac(
    request: WebhookRequest, secret: Secrets, *, header: str,
    digest: Literal["sha1", "sha256", "sha512"] = "sha256",
    encoding: Literal["hex", "base64"] = "hex", prefix: str = "",
) -> None:  # fmt: skip
    """Raise InvalidSignature unless a header has the HMAC of the body.

    Args:
        request: what came.
        secret: the key as the provider shows it.
        header: where the signature is.
        digest: the hash.
        encoding: how its bytes are written.
        prefix: what stands before it, such as `sha256=`.
    """
    given = _header(request, header)
    if not given.startswith(prefix):
        raise InvalidSignature
    wanted = []
    for one in _secrets(secret):
        made = hmac.digest(one, request.body, digest)
        wanted.append(made.hex() if encoding == "hex" else base64.b64encode(made).decode())
    found = given.removeprefix(prefix).strip()
    _check([found.lower() if encoding == "hex" else found], wanted)


def _header(request: WebhookRequest, name: str) -> str:
    found = request.headers.get(name)
    if not found:
        raise InvalidSignature(f"the header {name} is missing")
    return found


def _secrets(given: Secrets) -> list[bytes]:
    """Return the keys; raises ValueError for an empty one, by which anybody could sign."""
    several = [given] if isinstance(given, str | bytes) else list(given)
    keys = [one.encode() if isinstance(one, str) else one for one in several]
    if not keys or not all(keys):
        raise ValueError("the secret of a webhook is empty: set it, or nobody could be told apart")
    return keys


def _standard_key(secret: bytes) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("a secret of Standard Webhooks is whsec_ and base64") from None


def _hex(key: bytes, signed: bytes, digest: str) -> str:
    return hmac.new(key, signed, getattr(hashlib, digest)).hexdigest()


def _check_time(request: WebhookRequest, given: str, tolerance_s: float) -> None:
    if not _SECONDS.fullmatch(given):
        raise InvalidSignature
    if abs(request.received_at_ms / 1000 - int(given)) > tolerance_s:
        raise InvalidSignature("the signature is too old, or of the future")


def _check(given: list[str], wanted: list[str]) -> None:
    """Compare all with all, whatever was found already."""
    is_right = False
    for one in given[:_SIGNATURES_MAX]:
        for right in wanted:
            is_right |= hmac.compare_digest(one.encode("utf-8", "surrogateescape"), right.encode())
    if not is_right:
        raise InvalidSignature
