"""From a proof to a session: the one door, whichever way somebody shows who he is.

A code, a link, a password, a provider: each makes a `Proof` inside the transaction that also uses
the code up; the same transaction finds or makes the account, clears what strangers planted in it
(I69), ends the session used before (I65), and issues the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylon.errors import Unauthenticated
from pylon.identity import Identity
from pylon.server.auth.accounts import AccountService
from pylon.server.auth.sessions import Issued, SessionService
from pylon.server.storage import accounts, credentials, login_sessions
from pylon.server.storage.accounts import Account
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What somebody has shown: that an account is his, that an address is his, or both.

    At least one of `user_id` and `email` is given; both belong to the same account.
    """

    #: How: magic, link, password, oauth, guest, dev.
    method: str
    #: The account, where it is known: by its password, or by who he is at a provider.
    user_id: str | None = None
    #: The address, normalised.
    email: str | None = None
    #: He reads the mails of the address (a code, a link), or a provider that we trust says so.
    #: Only then may an address open an account that is there already.
    is_address_proven: bool = False
    #: Called with the account once it is certain, to link what proved it.
    settle: Callable[[Transaction, Account], None] | None = None


#: Makes the proof, inside the transaction; None: there is none. What it wrote stays in both cases,
#: so that wrong tries count.
Prover = Callable[[Transaction], Proof | None]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who signs in, as far as is known before."""

    #: The session that the same browser has now; it ends.
    before: Identity | None = None
    #: What the browser calls itself.
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that succeeded."""

    account: Account
    issued: Issued


class SignIn:
    """Turns proofs into sessions; one per runtime."""

    def __init__(
        self, database: Database, account_service: AccountService, sessions: SessionService
    ) -> None:
        self._database = database
        self._accounts = account_service
        self._sessions = sessions

    async def enter(self, prove: Prover, visitor: Visitor) -> SignedIn:
        """Sign somebody in.

        Raises Unauthenticated where there is no proof, and in the same words where the account is
        disabled: whoever has no proof learns nothing.
        """

        def work(transaction: Transaction) -> SignedIn | None:
            proof = prove(transaction)
            return None if proof is None else self._entered(transaction, proof, visitor)

        signed_in: SignedIn | None = (await self._database.writer.submit(work)).value
        if signed_in is None:
            raise Unauthenticated("the code is wrong or has expired", hint="ask for a new one")
        return signed_in

    def _entered(self, transaction: Transaction, proof: Proof, visitor: Visitor) -> SignedIn | None:
        account = self._account(transaction, proof)
        if account is None or account.disabled:
            return None
        if proof.is_address_proven and not account.is_proven:
            clear_planted(transaction, account)
            accounts.set_proven(transaction, account.id)
        if proof.settle is not None:
            proof.settle(transaction, account)
        before = visitor.before
        if before is not None and before.session_id is not None:
            session = login_sessions.session_by_id(transaction.select, before.session_id)
            if session is not None:
                login_sessions.delete_session(transaction, session, "signed_in_again")
        issued = self._sessions.issue_in(transaction, account, device=visitor.device)
        return SignedIn(account, issued)

    def _account(self, transaction: Transaction, proof: Proof) -> Account | None:
        if proof.user_id is not None:
            return accounts.account_by_id(transaction.select, proof.user_id)
        if proof.email is None:
            return None
        found = accounts.account_by_email(transaction.select, proof.email)
        if found is None:
            return self._accounts.create_in(
                transaction, proof.email, is_proven=proof.is_address_proven
            )
        # An address that nobody has proven opens nothing that is there.
        return found if proof.is_address_proven else None


def clear_planted(transaction: Transaction, account: Account) -> None:
    """Clear what somebody left in an account before the address was proven to be another's.

    Its password, second factor, identities at providers, sessions and tokens stop working.
    """
    credentials.delete_credentials(transaction, account.id)
    login_sessions.delete_sessions_of(transaction, account.id, "taken_over")
