"""Magic codes and one-time links: made, counted, used up."""

from __future__ import annotations

from pylon import limits
from pylon.errors import InvalidArgument, RateLimited
from pylon.ids import IdSource
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.sessions import SessionService
from pylon.server.auth.sign_in import Proof, Prover
from pylon.server.auth.tokens import code_hash, is_equal, new_code, token_hash
from pylon.server.storage import codes, login_sessions
from pylon.server.storage.accounts import Account
from pylon.server.storage.codes import Code
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


class CodeService:
    """Makes codes for addresses, and proofs of codes."""

    def __init__(self, database: Database, sessions: SessionService, ids: IdSource) -> None:
        self._database = database
        self._sessions = sessions
        self._ids = ids

    async def send(self, email: str) -> str:
        """Make a code for an address and return it, for the mail; raises RateLimited."""
        email = normalise_email(email)
        code = new_code(self._ids.random_bytes)
        code_id = self._ids.uuid7()

        def work(transaction: Transaction) -> None:
            now = transaction.now_ms
            in_hour = codes.codes_sent_since(transaction.select, email, now - _HOUR_MS)
            in_day = codes.codes_sent_since(transaction.select, email, now - _DAY_MS)
            if in_hour >= limits.CODES_PER_ACCOUNT_HOUR or in_day >= limits.CODES_PER_ACCOUNT_DAY:
                raise RateLimited("too many codes for this address", retry_after_s=600)
            expires = now + int(limits.CODE_SECONDS * 1000)
            hashed = code_hash(email, code)
            codes.insert_code(
                transaction, Code(code_id, email, hashed, expires, tries=0, used=False)
            )

        await self._database.writer.submit(work)
        return code

    def proof_of_code(self, email: object, code: object) -> Prover:
        """Return what proves an address by a code; raises InvalidArgument.

        Tries are counted inside one transaction each, so that guesses in parallel count.
        """
        address = normalise_email(email)
        if not isinstance(code, str) or len(code) > 64:
            raise InvalidArgument("a code is a short text", field="code")
        hashed = code_hash(address, code)

        def prove(transaction: Transaction) -> Proof | None:
            live = codes.live_codes(transaction, address)
            usable = [one for one in live if one.tries < limits.CODE_TRIES_MAX]
            if any(is_equal(one.hash, hashed) for one in usable):
                codes.use_codes(transaction, address)
                return Proof(method="magic", email=address, is_address_proven=True)
            for one in usable:
                codes.count_try(transaction, one.id)
            return None

        return prove

    async def make_link(self, account: Account) -> str:
        """Return the token of a one-time sign-in link of an account, for its owner's use."""
        issued = await self._sessions.issue(account, kind="link", days=limits.CODE_SECONDS / 86_400)
        return issued.token

    def proof_of_link(self, token: str) -> Prover:
        """Return what proves an account by a one-time link, which is used up."""
        hashed = token_hash(token)

        def prove(transaction: Transaction) -> Proof | None:
            session = login_sessions.session_by_hash(transaction.select, hashed)
            is_good = (
                session is not None
                and session.kind == "link"
                and session.expires_at_ms > transaction.now_ms
            )
            if session is None or not is_good:
                return None
            login_sessions.delete_session(transaction, session, "used")
            return Proof(method="link", user_id=session.user_id)

        return prove
