"""From a proof to a session, over a real database."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pylon.clock import SystemClock
from pylon.errors import Unauthenticated
from pylon.ids import IdSource
from pylon.server.auth.house import build_identity
from pylon.server.auth.sign_in import Proof, Visitor
from pylon.server.storage import accounts, credentials
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

NOBODY = Visitor()


class House:
    """The services of a sign-in on one database."""

    def __init__(self, database: Database, ids: IdSource) -> None:
        self.database = database
        built = build_identity(database, database.clock, ids, user_entity=lambda: None)
        self.accounts, self.sessions, self.door = built.accounts, built.sessions, built.sign_in
        self.ended: list[tuple[str | None, str, str]] = []
        self.sessions.on_ended(lambda *told: self.ended.append(told))

    async def do(self, work: Callable[[Transaction], Any]) -> Any:
        """Run work in a transaction."""
        return (await self.database.writer.submit(work)).value

    async def by_address(self, email: str, visitor: Visitor = NOBODY) -> Any:
        """Sign in as who reads the mails of an address."""
        proof = Proof(method="magic", email=email, is_address_proven=True)
        return await self.door.enter(lambda _: proof, visitor)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = SystemClock()
    ids = IdSource(clock, secrets.token_bytes)
    database = await Database.open(tmp_path / ".pylon", clock=clock, ids=ids, witness=None)
    try:
        yield House(database, ids)
    finally:
        await database.close()


async def test_what_was_planted_before_an_address_was_proven_is_dead(house: House) -> None:
    """THREATS 41, I69: password, second factor, identities, sessions and tokens of a stranger."""

    def plant(transaction: Transaction) -> Any:
        account = house.accounts.create_in(transaction, "ada@example.com", is_proven=False)
        credentials.set_password(transaction, account.id, "stranger's")
        credentials.set_totp(transaction, account.id, credentials.Totp(b"s", True, 0))
        credentials.set_recovery(transaction, account.id, [b"r"])
        credentials.insert_identity(transaction, "https://evil", "7", account.id, None)
        issue = house.sessions.issue_in
        return account, [issue(transaction, account, kind) for kind in ("session", "token", "link")]

    account, planted = await house.do(plant)
    assert house.sessions.resolve(planted[0].token).user_id == account.id
    signed_in = await house.by_address("ada@example.com")
    assert signed_in.account.id == account.id
    for one in planted:
        with pytest.raises(Unauthenticated):
            house.sessions.resolve(one.token)
    assert {told[0] for told in house.ended} >= {one.session.id for one in planted}
    rows = house.database.readers.inline.rows
    assert credentials.password_of(rows, account.id) is None
    assert credentials.totp_of(rows, account.id) is None
    assert credentials.recovery_left(rows, account.id) == 0
    assert credentials.identities_of(rows, account.id) == []
    assert house.sessions.resolve(signed_in.issued.token).user_id == account.id
    # Once it is proven, nothing of its owner's is cleared again.
    await house.do(lambda transaction: credentials.set_password(transaction, account.id, "own"))
    await house.by_address("ada@example.com")
    assert credentials.password_of(rows, account.id) == "own"
    assert house.sessions.resolve(signed_in.issued.token).user_id == account.id


async def test_an_address_that_nobody_has_proven_opens_nothing_that_is_there(house: House) -> None:
    """A provider that only claims an address makes a new account at most (I69)."""
    await house.accounts.ensure("ada@example.com")
    claimed = Proof(method="oauth", email="ada@example.com")
    with pytest.raises(Unauthenticated):
        await house.door.enter(lambda _: claimed, NOBODY)


async def test_a_sign_in_ends_the_session_before_it_and_issues_another(house: House) -> None:
    """THREATS 38, I65: a token that was there before a sign-in is dead after it."""
    first = await house.by_address("eve@example.com")
    before = house.sessions.resolve(first.issued.token)
    second = await house.by_address("ada@example.com", Visitor(before))
    assert second.issued.token != first.issued.token
    with pytest.raises(Unauthenticated):
        house.sessions.resolve(first.issued.token)
    assert (first.issued.session.id, first.account.id, "signed_in_again") in house.ended


async def test_a_disabled_account_is_refused_as_a_wrong_code_is(house: House) -> None:
    """Whoever has a code of a disabled account gets no session, and the words of a wrong one."""
    account = (await house.by_address("ada@example.com")).account
    await house.accounts.set_disabled(account.id, disabled=True)
    with pytest.raises(Unauthenticated) as disabled:
        await house.by_address("ada@example.com")
    with pytest.raises(Unauthenticated) as wrong:
        await house.door.enter(lambda _: None, NOBODY)
    assert disabled.value.to_wire() == wrong.value.to_wire()
    assert (None, account.id, "disabled") in house.ended


async def test_a_refused_proof_keeps_what_it_wrote(house: House) -> None:
    """Wrong tries count: there is no proof, but the count of it is committed."""
    account = await house.accounts.ensure("ada@example.com")

    def prove(transaction: Transaction) -> None:
        accounts.set_roles(transaction, account.id, frozenset({"tried"}))

    with pytest.raises(Unauthenticated):
        await house.door.enter(prove, NOBODY)
    found = house.accounts.find(account.id)
    assert found is not None
    assert found.roles == {"tried"}
