"""From a proof to a session: the one door, whichever way somebody shows who he is.

A code, a link, a password, a provider: each makes a `Proof` inside the transaction that also uses
the code up; the same transaction finds or makes the account, clears what strangers planted in it
(I69), asks the second factor, ends the session used before (I65), and issues the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pylon import limits
from pylon.errors import Unauthenticated
from pylon.identity import Identity
from pylon.server.auth.accounts import AccountService, clear_planted
from pylon.server.auth.second_factor import SecondFactor
from pylon.server.auth.sessions import Issued, SessionService, caller_in
from pylon.server.auth.tokens import token_hash
from pylon.server.storage import accounts, login_sessions
from pylon.server.storage.accounts import Account
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_TICKET_DAYS = limits.CODE_SECONDS / 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What somebody has shown: that an account is his, that an address is his, or both.

    At least one of `user_id` and `email` is given, or `settle` links who he is elsewhere.
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
    #: What he gave as his second factor.
    second_factor: object = field(default=None, repr=False)
    #: He can give it later, and gets a ticket until then (`SignedIn.is_ticket`).
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that succeeded, as far as it went."""

    account: Account
    issued: Issued

    @property
    def is_ticket(self) -> bool:
        """Tell whether the second factor is still missing: `SignIn.complete` takes it."""
        return self.issued.session.kind == "ticket"


class SignIn:
    """Turns proofs into sessions; one per runtime."""

    def __init__(
        self, database: Database, account_service: AccountService, sessions: SessionService,
        second_factor: SecondFactor,
    ) -> None:  # fmt: skip
        self._database = database
        self._accounts = account_service
        self._sessions = sessions
        self._second_factor = second_factor

    async def enter(self, prove: Prover, visitor: Visitor) -> SignedIn:
        """Sign somebody in.

        Raises Unauthenticated where there is no proof, and in the same words where the account is
        disabled: whoever has no proof learns nothing. With a proof, and a second factor that is
        missing or wrong, its details have `second_factor`, and nothing was used up.
        """

        def work(transaction: Transaction) -> SignedIn | None:
            proof = prove(transaction)
            return None if proof is None else self._entered(transaction, proof, visitor)

        signed_in: SignedIn | None = (await self._database.writer.submit(work)).value
        if signed_in is None:
            raise Unauthenticated(
                "this is wrong or has expired", hint="check it, or ask for a new code"
            )
        return signed_in

    async def complete(self, ticket: str, code: object, visitor: Visitor) -> SignedIn:
        """Turn a ticket and the second factor into a session; raises Unauthenticated."""

        def work(transaction: Transaction) -> SignedIn:
            found = login_sessions.session_by_hash(transaction.select, token_hash(ticket))
            if found is None or found.kind != "ticket" or found.expires_at_ms <= transaction.now_ms:
                raise Unauthenticated("this sign-in took too long", hint="begin again")
            account = accounts.account_by_id(transaction.select, found.user_id)
            if account is None or account.disabled:
                raise Unauthenticated("this sign-in took too long", hint="begin again")
            self._demand_second_factor(transaction, account, code)
            login_sessions.delete_session(transaction, found, "used")
            return self._issued(transaction, account, visitor)

        signed_in: SignedIn = (await self._database.writer.submit(work)).value
        return signed_in

    def _entered(self, transaction: Transaction, proof: Proof, visitor: Visitor) -> SignedIn | None:
        account = self._account(transaction, proof, visitor)
        if account is None or account.disabled:
            return None
        if proof.is_address_proven:
            account = self._accounts.proven_in(transaction, account)
        is_asked = self._second_factor.is_asked(transaction.select, account.id)
        is_waiting = is_asked and visitor.second_factor is None and visitor.may_wait
        if is_asked and not is_waiting and proof.method != "dev":
            self._demand_second_factor(transaction, account, visitor.second_factor)
        # Half a sign-in leaves nothing behind; who is named by his account was in it before.
        if proof.settle is not None and (not is_waiting or proof.user_id is not None):
            proof.settle(transaction, account)
        if is_waiting:
            issue = self._sessions.issue_in
            return SignedIn(account, issue(transaction, account, "ticket", days=_TICKET_DAYS))
        return self._issued(transaction, account, visitor)

    def _demand_second_factor(
        self, transaction: Transaction, account: Account, code: object
    ) -> None:
        """Raise Unauthenticated unless the code is right: what the proof used up stays usable."""
        if code is None:
            raise Unauthenticated("the second factor is missing", second_factor="totp")
        if not self._second_factor.check_in(transaction, account.id, code):
            raise Unauthenticated("the second factor is wrong", second_factor="totp")

    def _issued(self, transaction: Transaction, account: Account, visitor: Visitor) -> SignedIn:
        before = visitor.before
        if before is not None and before.session_id is not None:
            session = login_sessions.session_by_id(transaction.select, before.session_id)
            if session is not None:
                login_sessions.delete_session(transaction, session, "signed_in_again")
        issued = self._sessions.issue_in(transaction, account, device=visitor.device)
        return SignedIn(account, issued)

    def _account(self, transaction: Transaction, proof: Proof, visitor: Visitor) -> Account | None:
        """Return whose account it is, made where it is new; None where the proof opens none."""
        if proof.user_id is not None:
            return accounts.account_by_id(transaction.select, proof.user_id)
        if proof.email is not None:
            found = accounts.account_by_email(transaction.select, proof.email)
            if found is not None:
                # An address that nobody has proven opens nothing that is there.
                return found if proof.is_address_proven else None
        elif proof.settle is None and proof.method != "guest":
            return None
        guest = self._guest(transaction, visitor)
        if guest is not None and proof.method != "guest":
            # Whoever had the browser before may have left a password or a token (I65).
            clear_planted(transaction, guest, "signed_in_again")
            return accounts.settle_guest(
                transaction, guest, proof.email, is_proven=proof.is_address_proven
            )
        return self._accounts.create_in(
            transaction, proof.email, is_proven=proof.is_address_proven or proof.email is None,
            is_guest=proof.method == "guest",
        )  # fmt: skip

    def _guest(self, transaction: Transaction, visitor: Visitor) -> Account | None:
        """Return the guest that the browser was until now.

        A token with a scope is none: it changes no account.
        """
        before = visitor.before
        if before is None or before.user_id is None or before.scope is not None:
            return None
        try:
            account = caller_in(transaction, before)
        except Unauthenticated:
            return None
        return account if account.is_guest else None
