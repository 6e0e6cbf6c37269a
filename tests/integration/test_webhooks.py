"""Webhooks over HTTP: the raw request, signatures, answers, and being sent twice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.in_process import House, house

APP = '''
from __future__ import annotations

import asyncio

from pylon import App, Entity, Refused, webhooks

app = App("hooks")
seen = []


@app.entity(read="true")
class Payment(Entity):
    amount: int


@app.mutation(internal=True)
def paid(ctx, amount: int) -> str:
    if amount < 0:
        raise Refused("NEGATIVE", "less than nothing", amount=amount)
    return ctx.db.insert(Payment, amount=amount).id


@app.webhook("stripe", rate="30/minute")
async def stripe(ctx, request):
    """Payments."""
    webhooks.check_stripe(request, "secret")
    event = request.json()
    with ctx.as_system():
        return {"id": await ctx.once(event["id"], paid, amount=event["amount"])}


@app.webhook("github")
async def github(ctx, request):
    webhooks.check_github(request, ["old", "new"])


@app.webhook("svix")
async def svix(ctx, request):
    webhooks.check_standard(request, "whsec_" + "c2VjcmV0")


@app.webhook("echo", methods=["GET", "POST", "PUT"], max_bytes=2_000_000)
async def echo(ctx, request):
    seen.append(request)
    return webhooks.Answer(
        status=201, body=request.body,
        headers={"X-Method": request.method, "X-Q": request.query["q"]},
    )


@app.webhook("answers")
async def answers(ctx, request):
    what = request.text()
    if what == "slow":
        await asyncio.sleep(0.3)
        seen.append("ended")
    if what == "anonymous":
        with_nobody = await ctx.once("k", paid, amount=1)
    return {
        "nothing": None, "status": 202, "text": "hé", "json": [1, {"a": None}], "slow": None,
        "object": object(), "secret": ctx.auth.user_id,
        "header": webhooks.Answer(headers={"X-A": "b\\r\\nSet-Cookie: c"}),
        "unsigned": None,
    }[what]


@app.webhook("unset")
async def unset(ctx, request):
    webhooks.check_hmac(request, "", header="X-Signature")
'''


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "app", APP) as found:
        yield found


async def _send(found: House, name: str, data: bytes, **headers: str) -> Any:
    given = {"Content-Type": "text/plain", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return await found.anonymous().ask("POST", f"/api/webhooks/{name}", data=data, headers=given)


def _stripe(data: bytes, at: int, key: bytes = b"secret") -> str:
    made = hmac.new(key, f"{at}.".encode() + data, hashlib.sha256).hexdigest()
    return f"t={at},v1={'0' * 64},v1={made},v0={made}"


async def test_a_payment_that_is_told_twice_is_taken_once(hooks: House) -> None:
    """The provider's id makes it one; other content under it is refused; refusals come again."""
    now = hooks.services.clock.now_ms() // 1000
    data = json.dumps({"id": "evt/1 ✓", "amount": 5}).encode()
    answers = [await _send(hooks, "stripe", data, Stripe_Signature=_stripe(data, now))
               for _ in range(3)]  # fmt: skip
    assert [one.status for one in answers] == [200] * 3
    assert answers[0].body == answers[1].body == answers[2].body
    rows = (await hooks.anonymous().get("/api/entities/Payment")).body["rows"]
    assert [row["amount"] for row in rows] == [5]
    other = json.dumps({"id": "evt/1 ✓", "amount": 6}).encode()
    assert (await _send(hooks, "stripe", other, Stripe_Signature=_stripe(other, now))).code == (
        "CONFLICT"
    )
    wrong = json.dumps({"id": "2", "amount": -1}).encode()
    for _ in range(2):
        answer = await _send(hooks, "stripe", wrong, Stripe_Signature=_stripe(wrong, now))
        assert (answer.status, answer.code) == (422, "NEGATIVE")
        assert answer.body["error"]["details"] == {"amount": -1}


async def test_what_is_not_signed_right_is_refused(hooks: House) -> None:
    """Missing, forged, changed, too old, of the future, and odd bytes: 401; nothing happens."""
    now, data = hooks.services.clock.now_ms() // 1000, b'{"id":"1","amount":1}'
    for signature in (
        "", "t=1", f"t={now},v1=", f"t={now},v1=é", f"t={now},t={now},v1=0",
        _stripe(data, now, b"s"), _stripe(data + b" ", now), _stripe(data, now - 301),
        _stripe(data, now + 301), _stripe(data, now).replace("v1", "v2"),
    ):  # fmt: skip
        headers = {"Stripe_Signature": signature} if signature else {}
        answer = await _send(hooks, "stripe", data, **headers)
        assert (answer.status, answer.code) == (401, "INVALID_SIGNATURE"), signature
    assert (
        await _send(hooks, "stripe", data, Stripe_Signature=_stripe(data, now - 299))
    ).status == 200
    for key, status in ((b"old", 204), (b"new", 204), (b"other", 401)):
        made = "sha256=" + hmac.new(key, data, hashlib.sha256).hexdigest()
        assert (await _send(hooks, "github", data, X_Hub_Signature_256=made)).status == status
    signed = base64.b64encode(
        hmac.digest(b"secret", f"m1.{now}.".encode() + data, "sha256")
    ).decode()
    for head in ("webhook", "svix"):
        given = {f"{head}_id": "m1", f"{head}_timestamp": str(now),
                 f"{head}_signature": f"v1,AAAA v1,{signed}"}  # fmt: skip
        assert (await _send(hooks, "svix", data, **given)).status == 204
        assert (await _send(hooks, "svix", data, **{**given, f"{head}_id": "m2"})).status == 401
    # By an empty secret anybody could sign: that is the owner's mistake, not a signature.
    made = hmac.new(b"", data, hashlib.sha256).hexdigest()
    assert (await _send(hooks, "unset", data, X_Signature=made)).code == "INTERNAL"


async def test_the_request_is_raw_and_the_answer_is_what_is_returned(hooks: House) -> None:
    """Bytes, headers and query as they came; every form of answer; errors without internals."""
    nobody = hooks.anonymous()
    raw = bytes(range(256)) * 5_000
    answer = await nobody.ask(
        "PUT", "/api/webhooks/echo?q=a%20b&q=c", data=raw,
        headers={"Content-Type": "application/x-thing", "x-odd": "1", "Cookie": "pylon_session=x"},
    )  # fmt: skip
    assert (answer.status, answer.headers["X-Method"], answer.headers["X-Q"]) == (201, "PUT", "a b")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (request,) = hooks.services.definitions.current.webhooks["echo"].handler.__globals__["seen"]
    assert (request.body, request.headers["X-ODD"]) == (raw, "1")
    for text, status, body in (
        ("nothing", 204, ""), ("status", 202, ""), ("text", 200, "hé"), ("secret", 204, ""),
        ("json", 200, [1, {"a": None}]),
    ):  # fmt: skip
        answer = await _send(hooks, "answers", text.encode())
        assert (answer.status, answer.body) == (status, body), text
    for text in ("object", "header", "unknown"):
        answer = await _send(hooks, "answers", text.encode())
        assert (answer.status, answer.code) == (500, "INTERNAL"), text
        assert "KeyError" not in str(answer.body)
    assert (await _send(hooks, "answers", b"anonymous")).code == "INVALID_ARGUMENT"
    assert (await _send(hooks, "nothing", b"")).code == "NOT_FOUND"
    answer = await nobody.ask("PATCH", "/api/webhooks/echo", data=b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST, PUT")
    assert (await nobody.ask("GET", "/api/webhooks/echo?q=1")).status == 201
    assert (await _send(hooks, "answers", b"x" * 1_100_000)).status == 413
    foreign = await _send(hooks, "answers", b"nothing", Origin="https://evil.example")
    assert foreign.code == "FORBIDDEN_ORIGIN"
    assert (await nobody.call("stripe")).code == "NOT_FOUND"
    assert (await nobody.call("paid", amount=1)).code == "NOT_FOUND"


async def test_webhooks_stand_in_the_matrix_and_have_rates(hooks: House) -> None:
    """`pylon policies` lists them as open; each network has so many a minute."""
    from pylon.app.matrix import build_matrix

    rows = build_matrix(hooks.services.definitions.current).rows
    found = {row.subject: [flag.name for flag in row.flags] for row in rows}
    assert found["webhook POST stripe"] == ["open to the world"]
    assert "webhook GET POST PUT echo" in found
    for _ in range(30):
        await _send(hooks, "stripe", b"")
    answer = await _send(hooks, "stripe", b"")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
