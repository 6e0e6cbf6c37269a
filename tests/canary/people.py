"""Signing in and out by every route, each secret on the way known to whom it was given alone."""

from __future__ import annotations

import base64
import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from pylon.server.auth.sign_in import Proof, Visitor
from pylon.server.auth.totp import totp_code
from tests.canary.crowd import OPERATOR, Principal

if TYPE_CHECKING:
    from tests.canary.test_canary_matrix import Matrix


async def sign_in_and_out(at: Matrix) -> None:
    """Register, sign in by everything there is, change, take along, and leave."""
    crowd = at.crowd
    new = await crowd.join("newcomer")
    email = f"newcomer-{at.mint.chance.getrandbits(40):010x}@x.example"
    crowd.keep(email, new.name, OPERATOR)
    first, second, third = (f"{at.mint.text()} {n}" for n in range(3))
    for password in (first, second, third):
        crowd.keep(password)

    async def post(path: str, **body: Any) -> Any:
        status, value = await crowd.ask(new, "POST", f"/api/auth/{path}", body)
        assert status < 300, (path, body, value)
        return value

    def become(answer: dict[str, Any]) -> None:
        new.token, new.user_id = answer["token"], answer["user_id"]

    become(await post("password/register", email=email, password=first))
    become(await post("password/login", email=email, password=first))
    await post("password/change", current=first, password=second)
    await post("magic/send", email=email)
    code, link = await mailed(at, new, email)
    become(await post("magic/verify", email=email, code=code))
    if at.is_dev:
        become(await post("dev/login", email=email))
    await post("magic/send", email=email)
    _, link = await mailed(at, new, email)
    t = parse_qs(urlsplit(link).query or urlsplit(link).fragment)["t"][0]
    crowd.keep(t, *([OPERATOR] if at.is_dev else []))
    become(await post("link", t=t, email=email))
    await post("magic/send", email=email)
    code, _ = await mailed(at, new, email)
    become(await post("password/reset", email=email, code=code, password=third))
    made = await post("totp", current=third)
    secret = base64.b32decode(made["secret"] + "=" * (-len(made["secret"]) % 8))

    def totp() -> str:
        return totp_code(secret, at.services.clock.now_ms() // 30_000)

    recovery = (await post("totp/confirm", totp=totp()))["recovery"]
    for one in recovery:
        crowd.keep(one, new.name)
    await at.made.advance(60)
    become(await post("password/login", email=email, password=third, totp=totp()))
    # As after a sign-in by a provider: half of it is a ticket, in a cookie of its own.
    proof = Proof(method="oauth", user_id=new.user_id)
    half = await at.services.sign_in.enter(lambda _: proof, Visitor(may_wait=True))
    crowd.keep(half.issued.token)
    await at.made.advance(60)
    cookie = {"Cookie": f"pylon_ticket={half.issued.token}"}
    _, become_by = await crowd.ask(new, "POST", "/api/auth/totp/verify", {"totp": totp()}, cookie)
    become(become_by)
    await post("tokens", name="importer", days=3)
    sessions = (await crowd.ask(new, "GET", "/api/auth/sessions"))[1]["sessions"]
    other = next(one["id"] for one in sessions if not one["current"])
    for method, path in (
        ("GET", "/api/auth/export"), ("GET", "/api/auth/account"), ("GET", "/api/auth/me"),
        ("DELETE", f"/api/auth/sessions/{other}"), ("DELETE", "/api/auth/sessions"),
    ):  # fmt: skip
        assert (await crowd.ask(new, method, path))[0] < 300, path
    await at.made.advance(60)
    proof = {"current": third, "totp": totp()}
    assert (await crowd.ask(new, "DELETE", "/api/auth/totp", proof))[0] == 204
    assert (await crowd.ask(new, "DELETE", "/api/auth/me", {"current": third}))[0] == 204
    new.is_alive = False


async def mailed(at: Matrix, one: Principal, email: str) -> tuple[str, str]:
    """Return code and link of the newest mail to an address, which nobody else may see."""
    async with at.crowd.step("mail goes out"):
        for _ in range(500):
            live = "SELECT 1 FROM _pylon_jobs WHERE state IN ('available', 'running') LIMIT 1"
            if not at.services.database.readers.inline.rows(live):
                break
            await at.crowd.quiet()
        newest = None
        for path in sorted((at.made.runtime._data_folder / "outbox").glob("*.eml")):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            newest = mail if mail["To"] == email else newest
        assert newest is not None
        body = newest.get_body(("plain",))
        assert body is not None
        text = body.get_content().replace("\r\n", "\n")
    code = text.split("\n\n")[1].strip()
    found = re.search(r"https?://\S+", text)
    assert found is not None
    # The Mail screen of `pylon dev` shows a code to the operator; nothing shows it in `serve`.
    at.crowd.keep(code, one.name, *([OPERATOR] if at.is_dev else []))
    return code, found[0]
