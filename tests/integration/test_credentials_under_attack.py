"""Scripted attacks on passwords, second factors and guests (THREATS 35, 38, 41, 45)."""

from __future__ import annotations

import asyncio
import base64
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.server.auth import hashing
from pylon.server.auth.totp import totp_code
from tests.integration.house import Browser, House, house

ADA = "ada@example.com"
WORDS, OTHER = "correct horse battery", "staple of the other one"


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)
    monkeypatch.setattr(hashing, "_ARGON2_KIB", 64)
    methods = '[auth]\nmethods = ["magic", "password", "guest"]\n'
    async with house(tmp_path, methods) as one:
        for rates in (one.services.sign_in_rates, one.services.auth_rates):
            rates.demand = lambda key: None  # type: ignore[method-assign]
        yield one


async def _register(at: House, email: str = ADA, password: str = WORDS) -> Browser:
    one = await at.browser()
    answer = await one.post("/api/auth/password/register", {"email": email, "password": password})
    assert answer.status == 200, answer.body
    return one


async def _login(one: Browser, password: str, email: str = ADA, **more: Any) -> Any:
    given = {"email": email, "password": password, **more}
    return await one.post("/api/auth/password/login", given)


@pytest.mark.alone  # times are compared
async def test_a_password_signs_in_and_a_wrong_one_reads_as_an_unknown_address(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer for a wrong password, no password and no account, in a like time."""
    monkeypatch.setattr(hashing, "_ARGON2_KIB", 19_456)
    await _register(at)
    await at.signed_in("nopass@example.com")
    visitor = await at.browser()
    assert (await _login(visitor, WORDS)).status == 200
    seen: dict[str, list[float]] = {}
    answers = set()
    for n in range(8):
        for email in (ADA, "nopass@example.com", f"new{n}@example.com"):
            started = time.perf_counter()
            answer = await _login(visitor, OTHER, email)
            key = "new" if email.startswith("new") else email
            seen.setdefault(key, []).append(time.perf_counter() - started)
            answers.add((answer.status, str(answer.body)))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    medians = [statistics.median(times) for times in seen.values()]
    assert max(medians) < 3 * min(medians)
    again = await visitor.post("/api/auth/password/register", {"email": ADA, "password": OTHER})
    assert (again.code, again.body["error"]["details"]) == ("CONFLICT", {"fields": ["email"]})


async def test_without_the_setting_there_are_no_passwords_and_no_guests(tmp_path: Path) -> None:
    """What an app has not turned on is not there."""
    async with house(tmp_path) as at:
        visitor = await at.browser()
        for path in ("password/register", "password/login", "password/reset", "guest"):
            answer = await visitor.post(f"/api/auth/{path}", {"email": ADA, "password": WORDS})
            assert answer.code == "NOT_FOUND", path


async def test_threat_35_passwords_are_guessed_a_few_times_only(at: House) -> None:
    """Guesses at once count one by one, whether the address has an account or not.

    One network leaves the person, who comes from elsewhere, tries of his own.
    """
    await _register(at)
    for email in (ADA, "nobody@example.com"):
        visitor = await at.browser()
        answers = await asyncio.gather(*(_login(visitor, f"{OTHER} {n}", email) for n in range(25)))
        codes = [one.code for one in answers]
        assert codes.count("UNAUTHENTICATED") == limits.PASSWORD_TRIES_NETWORK
        assert codes.count("RATE_LIMITED") == 25 - limits.PASSWORD_TRIES_NETWORK
    assert (await _login(await at.browser(), WORDS)).code == "RATE_LIMITED"
    at.services.passwords._of_network.demand = lambda key: None  # type: ignore[method-assign]
    assert (await _login(await at.browser(), WORDS)).status == 200


async def test_threat_41_who_registers_first_owns_nothing_of_the_address(at: House) -> None:
    """Password, session, token and second factor of a stranger end with the first proven code."""
    eve = await _register(at)
    robot = await at.program()
    robot.token = (await eve.post("/api/auth/tokens", {})).body["token"]
    secret = await _enrol(at, eve, current=WORDS)
    planted = (await eve.get("/api/auth/me")).body["user_id"]
    ada = await at.signed_in(ADA)  # not asked for the stranger's second factor
    assert (await ada.get("/api/auth/me")).body["user_id"] == planted
    for dead in (eve, robot):
        assert (await dead.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await _login(eve, WORDS)).code == "UNAUTHENTICATED"
    assert (await _login(eve, WORDS, totp=_code(at, secret))).code == "UNAUTHENTICATED"
    account = (await ada.get("/api/auth/account")).body
    assert (account["password"], account["totp"], account["is_proven"]) == (False, False, True)


async def test_a_changed_password_ends_all_other_sessions(at: House) -> None:
    """It asks for the old one or a code, and spares the session that changed it (I63)."""
    ada = await _register(at)
    other = await at.browser()
    await _login(other, WORDS)
    path = "/api/auth/password/change"
    refused = await ada.post(path, {"password": OTHER})
    assert refused.body["error"]["details"] == {"reproof": ["current", "code"]}
    wrong = await ada.post(path, {"password": OTHER, "current": "wrong words here"})
    assert wrong.code == "UNAUTHENTICATED"
    weak = await ada.post(path, {"password": "password123", "current": WORDS})
    assert weak.code == "INVALID_ARGUMENT"
    assert (await ada.post(path, {"password": OTHER, "current": WORDS})).status == 204
    assert (await other.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await ada.get("/api/auth/me")).status == 200
    assert (await _login(other, WORDS)).code == "UNAUTHENTICATED"
    assert (await _login(other, OTHER)).status == 200


async def test_a_forgotten_password_is_reset_by_a_code(at: House) -> None:
    """The code proves the address, the new password counts, everybody else is out."""
    eve = await _register(at)
    ada = await at.browser()
    await ada.send(ADA)
    given = {"email": ADA, "code": at.code(ADA), "password": OTHER}
    wrong = await ada.post("/api/auth/password/reset", {**given, "code": "WRNGWRNG"})
    assert wrong.code == "UNAUTHENTICATED"
    assert (await ada.post("/api/auth/password/reset", given)).status == 200
    assert (await eve.get("/api/auth/me")).code == "UNAUTHENTICATED"
    assert (await _login(eve, WORDS)).code == "UNAUTHENTICATED"
    assert (await _login(eve, OTHER)).status == 200
    assert (await ada.post("/api/auth/password/reset", given)).code == "UNAUTHENTICATED"


# --- second factors ----------------------------------------------------------------------


def _code(at: House, secret: bytes) -> str:
    return totp_code(secret, at.rt.clock.now_ms() // 30_000)


async def _enrol(at: House, one: Browser, **proof: Any) -> bytes:
    made = (await one.post("/api/auth/totp", proof)).body
    secret = base64.b32decode(made["secret"] + "=" * (-len(made["secret"]) % 8))
    confirmed = await one.post("/api/auth/totp/confirm", {"totp": _code(at, secret)})
    assert len(confirmed.body["recovery"]) == 10
    one.recovery = confirmed.body["recovery"]  # type: ignore[attr-defined]
    return secret


async def test_a_second_factor_is_asked_by_every_way_in_and_used_once(at: House) -> None:
    """Password, code and link alone open nothing; a code of the phone works once (replay)."""
    ada = await _register(at)
    assert (await ada.post("/api/auth/totp", {})).code == "UNAUTHENTICATED"
    secret = await _enrol(at, ada, current=WORDS)
    visitor = await at.browser()
    missing = await _login(visitor, WORDS)
    assert missing.body["error"]["details"] == {"second_factor": "totp"}
    # The factor of enrolment is used up; the next step's is not.
    assert (await _login(visitor, WORDS, totp=_code(at, secret))).code == "UNAUTHENTICATED"
    await at.rt.advance(60)
    assert (await _login(visitor, WORDS, totp="000000")).code == "UNAUTHENTICATED"
    good = _code(at, secret)
    answers = await asyncio.gather(*(_login(visitor, WORDS, totp=good) for _ in range(3)))
    assert sorted(one.status for one in answers) == [200, 401, 401]
    # A magic code that lacks it stays usable.
    await at.rt.advance(600)
    await visitor.send(ADA)
    given = {"email": ADA, "code": at.code(ADA)}
    # The address of a registered account is proven by this code: who planted the factor may not
    # be who reads the mails, and it is cleared (THREATS 41).
    assert (await visitor.post("/api/auth/magic/verify", given)).status == 200
    secret = await _enrol_by_code(at, visitor)
    await at.rt.advance(60)
    await visitor.send(ADA)
    given["code"] = at.code(ADA)
    missing = await visitor.post("/api/auth/magic/verify", given)
    assert missing.body["error"]["details"] == {"second_factor": "totp"}
    given["totp"] = _code(at, secret)
    assert (await visitor.post("/api/auth/magic/verify", given)).status == 200


async def _enrol_by_code(at: House, one: Browser) -> bytes:
    await one.send(ADA)
    return await _enrol(at, one, code=at.code(ADA))


async def test_recovery_codes_work_once_and_tries_are_few(at: House) -> None:
    """Each of the ten signs in once; guessing is over after five, also with the password known."""
    ada = await _register(at)
    secret = await _enrol(at, ada, current=WORDS)
    visitor = await at.browser()
    await at.rt.advance(300)
    recovery = ada.recovery  # type: ignore[attr-defined]
    assert (await _login(visitor, WORDS, totp=recovery[0].lower())).status == 200
    assert (await _login(visitor, WORDS, totp=recovery[0])).code == "UNAUTHENTICATED"
    await at.rt.advance(300)
    guesses = [_login(visitor, WORDS, totp=f"{n:06d}") for n in range(9)]
    codes = [one.code for one in await asyncio.gather(*guesses)]
    assert codes.count("UNAUTHENTICATED") == limits.TOTP_TRIES
    await at.rt.advance(300)
    account = (await ada.get("/api/auth/account")).body
    assert (account["totp"], account["recovery_left"]) == (True, 9)
    removed = await ada.ask("DELETE", "/api/auth/totp", {"current": WORDS})
    assert removed.code == "UNAUTHENTICATED"
    proof = {"current": WORDS, "totp": _code(at, secret)}
    assert (await ada.ask("DELETE", "/api/auth/totp", proof)).status == 204
    assert (await _login(visitor, WORDS)).status == 200


async def test_a_sign_in_that_waits_for_its_second_factor_is_no_session(at: House) -> None:
    """A ticket opens nothing by itself; with the factor it becomes a session, once (OAuth)."""
    from pylon.errors import Unauthenticated
    from pylon.server.auth.sign_in import Proof, Visitor

    ada = await _register(at)
    secret = await _enrol(at, ada, current=WORDS)
    await at.rt.advance(60)
    user_id = (await ada.get("/api/auth/me")).body["user_id"]
    door, proof = at.services.sign_in, Proof(method="oauth", user_id=user_id)
    ticket = await door.enter(lambda _: proof, Visitor(may_wait=True))
    assert ticket.is_ticket
    with pytest.raises(Unauthenticated):
        at.services.sessions.resolve(ticket.issued.token)
    with pytest.raises(Unauthenticated):
        await door.complete(ticket.issued.token, "000000", Visitor())
    code = _code(at, secret)
    signed_in = await door.complete(ticket.issued.token, code, Visitor())
    assert at.services.sessions.resolve(signed_in.issued.token).user_id == user_id
    with pytest.raises(Unauthenticated):
        await door.complete(ticket.issued.token, code, Visitor())


# --- guests ------------------------------------------------------------------------------


async def test_a_guest_keeps_id_and_rows_when_he_shows_who_he_is(at: House) -> None:
    """By a code or a password; the token from before is dead (THREATS 38)."""
    for way in ("code", "password"):
        email = f"{way}@example.com"
        guest = await at.browser()
        made = await guest.post("/api/auth/guest", {})
        assert made.status == 200
        assert (await guest.post("/api/auth/guest", {})).code == "CONFLICT"
        assert (await guest.get("/api/auth/me")).body["email"] is None
        note = await guest.post("/api/entities/Note", {"text": "mine", "secret": True})
        before = guest.cookies["pylon_session"]
        if way == "code":
            await guest.send(email)
            signed = await guest.verify(email, at.code(email))
        else:
            given = {"email": email, "password": WORDS}
            signed = await guest.post("/api/auth/password/register", given)
        assert signed.body["user_id"] == made.body["user_id"]
        me = (await guest.get("/api/auth/me")).body
        assert (me["email"], me["user_id"]) == (email, made.body["user_id"])
        assert (await guest.get(f"/api/entities/Note/{note.body['id']}")).status == 200
        old = await at.program()
        old.token = before
        assert (await old.get("/api/auth/me")).code == "UNAUTHENTICATED"


async def test_a_guest_who_has_an_account_is_signed_in_to_it(at: House) -> None:
    """His rows as a guest stay the guest's: two people's accounts are never merged."""
    await at.signed_in(ADA)
    guest = await at.browser()
    made = await guest.post("/api/auth/guest", {})
    await guest.send(ADA)
    signed = await guest.verify(ADA, at.code(ADA))
    assert signed.body["user_id"] != made.body["user_id"]
    left = at.services.accounts.find(made.body["user_id"])
    assert left is not None
    assert left.is_guest


async def test_threat_45_a_forwarded_for_of_the_callers_own_frees_nobody(at: House) -> None:
    """Whatever the header says, one network makes so many guests; others are not framed."""
    answers = []
    for n in range(limits.NEW_ACCOUNTS_PER_ADDRESS + 5):
        one = await at.browser()
        header = {"X-Forwarded-For": f"203.0.113.{n}"}
        answers.append(await one.ask("POST", "/api/auth/guest", {}, headers=header))
    assert [one.status for one in answers].count(200) == limits.NEW_ACCOUNTS_PER_ADDRESS
    assert {one.code for one in answers} == {None, "RATE_LIMITED"}
