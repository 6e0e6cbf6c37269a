"""Scripted attacks on magic codes and links (THREATS 35-37, 43, 44)."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pylon import limits
from pylon.server.auth import hashing
from tests.integration.house import House, house

ADA = "ada@example.com"


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2)  # how slow it is is no matter here
    async with house(tmp_path, '[auth]\nmethods = ["magic", "link"]\n') as one:
        # The rates by network are a matter of their own (THREATS 45).
        for rates in (one.services.sign_in_rates, one.services.auth_rates, one.services.code_rates):
            rates.demand = lambda key: None  # type: ignore[method-assign]
        yield one


async def test_threat_35_a_code_dies_after_five_wrong_tries_however_parallel(at: House) -> None:
    """Forty guesses at once use it up, and no more than five were held against it."""
    program = await at.program()
    await program.send(ADA)
    code = at.code(ADA)
    guesses = (program.verify(ADA, f"WRNG{n:04d}") for n in range(40))
    answers = await asyncio.gather(*guesses)
    assert {one.code for one in answers} == {"UNAUTHENTICATED"}
    rows = at.services.database.readers.inline.rows
    assert rows("SELECT tries FROM _pylon_codes", ()) == [(limits.CODE_TRIES_MAX,)]
    assert (await program.verify(ADA, code)).code == "UNAUTHENTICATED"


async def test_threat_35_the_codes_of_an_hour_give_fifty_guesses(at: House) -> None:
    """Asking for codes without end adds no tries: ten live at most, with five tries each."""
    program = await at.program()
    tried = 0
    for _ in range(12):
        await program.send(ADA)
    for _ in range(60):
        tried += await _counted(at, "WRNGWRNG")
    assert tried <= limits.CODES_PER_ACCOUNT_HOUR * limits.CODE_TRIES_MAX
    assert len(at.mails(ADA)) == limits.CODES_PER_ACCOUNT_NETWORK_HOUR


async def _counted(at: House, guess: str) -> int:
    """Return how many codes a guess was held against."""

    def tries() -> int:
        rows = at.services.database.readers.inline.rows
        return int(rows("SELECT total(tries) FROM _pylon_codes", ())[0][0])

    before = tries()
    await (await at.program()).verify(ADA, guess)
    return tries() - before


async def test_threat_36_burning_somebodys_codes_leaves_him_his_own(at: House) -> None:
    """An attacker who asks and guesses without end uses up his own network's share only.

    What the person's own browser asked for is not touched by guesses from elsewhere.
    """
    ada = await at.browser()
    await ada.send(ADA)
    mine = at.code(ADA)
    attacker, program = await at.browser(), await at.program()
    for _ in range(30):
        await attacker.send(ADA)
        await attacker.verify(ADA, "WRNGWRNG")
        await program.verify(ADA, "WRNGWRNG")
    assert len(at.mails(ADA)) <= limits.CODES_PER_ACCOUNT_NETWORK_HOUR
    assert (await ada.verify(ADA, mine)).status == 200
    # And whoever is locked out of new codes gets them again after an hour.
    before = len(at.mails(ADA))
    await ada.send(ADA)
    assert len(at.mails(ADA)) == before
    await at.rt.advance(3_601)
    await ada.send(ADA)
    assert len(at.mails(ADA)) == before + 1
    assert (await ada.verify(ADA, at.code(ADA))).status == 200


async def test_threat_37_a_code_is_of_the_browser_that_asked(at: House) -> None:
    """From another browser, or from none, it does not work, and is not used up by the try."""
    ada, eve, program = await at.browser(), await at.browser(), await at.program()
    await ada.send(ADA)
    await eve.send("eve@example.com")
    code = at.code(ADA)
    for other in (eve, program):
        assert (await other.verify(ADA, code)).code == "UNAUTHENTICATED"
    assert (await ada.verify(ADA, code)).status == 200
    # A program has no cookies: what it asked for works with the address and the code.
    await program.send("bob@example.com")
    assert (await program.verify("bob@example.com", at.code("bob@example.com"))).status == 200


async def test_threat_37_a_link_that_is_opened_elsewhere_asks_for_the_address(at: House) -> None:
    """Looking at it uses nothing up; in its own browser it signs in, elsewhere it must be known."""
    ada, eve = await at.browser(), await at.browser()
    await ada.send(ADA)
    url = re.search(r"http://\S+", at.mails(ADA)[-1])
    assert url is not None
    path, _, token = url[0].partition("#t=")
    assert path == "http://localhost:4321/auth/link"
    for _ in range(2):
        assert (await eve.get("/auth/link")).status == 200
    asked = await eve.post("/api/auth/link", {"t": token})
    assert (asked.code, asked.body["error"]["details"]) == ("UNAUTHENTICATED", {"confirm": "email"})
    assert ADA not in str(asked.body)
    wrong = await eve.post("/api/auth/link", {"t": token, "email": "eve@example.com"})
    assert wrong.code == "UNAUTHENTICATED"
    assert (await ada.post("/api/auth/link", {"t": token})).status == 200
    again = await ada.post("/api/auth/link", {"t": token})
    assert again.code == "UNAUTHENTICATED"
    # Its code went with it.
    assert (await ada.verify(ADA, at.code(ADA))).code == "UNAUTHENTICATED"
    # Elsewhere with the address it works too: a phone opens what a laptop asked for.
    await ada.send(ADA)
    token = at.mails(ADA)[-1].split("#t=")[1].split()[0]
    assert (
        await eve.post("/api/auth/link", {"t": token, "email": "Ada@Example.com"})
    ).status == 200


async def test_a_code_lives_ten_minutes_and_works_once(at: House) -> None:
    """Of two codes either works within its time; the first use ends both."""
    program = await at.program()
    await program.send(ADA)
    old = at.code(ADA)
    await at.rt.advance(60)
    await program.send(ADA)
    new = at.code(ADA)
    await at.rt.advance(limits.CODE_SECONDS - 61)
    answers = await asyncio.gather(*(program.verify(ADA, old) for _ in range(5)))
    assert sorted(one.status for one in answers) == [200, 401, 401, 401, 401]
    assert (await program.verify(ADA, new)).code == "UNAUTHENTICATED"
    await program.send(ADA)
    await at.rt.advance(limits.CODE_SECONDS)
    assert (await program.verify(ADA, at.code(ADA))).code == "UNAUTHENTICATED"


@pytest.mark.alone  # times are compared
async def test_known_unknown_disabled_and_limited_addresses_answer_alike(
    at: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I68: one answer in status, body and headers, and no clear difference in time."""
    monkeypatch.setattr(hashing, "_SCRYPT_N", 2**12)
    program = await at.program()
    await at.signed_in(ADA)
    await at.signed_in("off@example.com")
    await at.services.accounts.set_disabled("off@example.com", disabled=True)
    limited = "limited@example.com"
    for _ in range(limits.CODES_PER_ACCOUNT_NETWORK_HOUR):
        await program.send(limited)
    seen: dict[str, list[float]] = {}
    answers = set()
    for n in range(9):
        if n % 3 == 0:
            await at.rt.advance(3_601)  # so that the known one is not limited
            for _ in range(limits.CODES_PER_ACCOUNT_NETWORK_HOUR):
                await program.send(limited)
        for email in (ADA, f"new{n}@example.com", "off@example.com", limited):
            started = time.perf_counter()
            answer = await program.send(email)
            key = "new" if email.startswith("new") else email
            seen.setdefault(key, []).append(time.perf_counter() - started)
            headers = {name: value for name, value in answer.headers.items() if name != "Date"}
            answers.add((answer.status, str(answer.body), str(sorted(headers.items()))))
    assert len(answers) == 1
    assert len(at.mails("off@example.com")) == 1
    medians = [statistics.median(times) for times in seen.values()]
    assert max(medians) < 3 * min(medians)


async def test_threat_44_a_stolen_file_gives_no_code_away(at: House) -> None:
    """Neither code, link nor browser secret stands in it, and a plain hash finds none of them."""
    import hashlib

    ada = await at.browser()
    await ada.send(ADA)
    code, link = at.code(ADA), at.mails(ADA)[-1].split("#t=")[1].split()[0]
    rows = at.services.database.readers.inline.rows("SELECT * FROM _pylon_codes", ())
    stored = [value for row in rows for value in row]
    for secret in (code, link, ada.cookies["pylon_signin"]):
        assert all(secret not in str(value) for value in stored)
    for guess in (code, f"{ADA}\0{code}", f"{ADA}{code}"):
        assert hashlib.sha256(guess.encode()).digest() not in stored


async def test_threat_43_two_spellings_meet_and_look_alikes_do_not(at: House) -> None:
    """Asked with one spelling, verified with another: one account, and one for each other one."""
    program = await at.program()
    await program.send(" Ada@Example.COM ")
    first = await program.verify("ADA@example.com", at.code(ADA))
    await program.send("ada+x@example.com")
    second = await program.verify("ada+x@example.com", at.code("ada+x@example.com"))
    assert first.body["user_id"] != second.body["user_id"]
    assert (await program.send("\u212aim@example.com")).code == "INVALID_ARGUMENT"
