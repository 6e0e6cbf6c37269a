"""Magic codes and the links beside them: made, bound to who asked, counted, used up (I66-I68).

What a browser asks for works in that browser: it holds a secret, and the code is hashed with it.
A program has no cookies; what it asks for works for whoever knows the address and the code. A link
that is opened elsewhere asks for the address it was sent to. Wrong tries count against the codes
that the one who tries could use, so that nobody burns the codes of a browser that is not his.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pylon import limits
from pylon.errors import InvalidArgument, Unauthenticated
from pylon.ids import IdSource
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.hashing import Hasher, keyed
from pylon.server.auth.sessions import SessionService
from pylon.server.auth.sign_in import Proof, Prover
from pylon.server.auth.tokens import is_equal, new_code, new_token, token_hash
from pylon.server.storage import accounts, codes, login_sessions
from pylon.server.storage.accounts import Account
from pylon.server.storage.codes import Code
from pylon.server.storage.database import Database
from pylon.server.storage.transaction import Transaction

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_CODE_CHARACTERS_MAX, _TOKEN_CHARACTERS_MAX = 64, 128


@dataclass(frozen=True, slots=True)
class SentCode:
    """What the mail says."""

    email: str
    code: str = field(repr=False)
    #: The token of the link.
    link: str = field(repr=False)
    expires_at_ms: int


class CodeService:
    """Makes codes for addresses, and proofs of codes and links."""

    def __init__(
        self, database: Database, sessions: SessionService, ids: IdSource, hasher: Hasher
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._ids = ids
        self.hasher = hasher

    def new_browser_secret(self) -> str:
        """Return a secret for a browser that asks for a code."""
        return new_token(self._ids.random_bytes)

    async def send(
        self, email: object, *, network: str, browser: str | None = None,
        post: Callable[[Transaction, SentCode], None],
    ) -> None:  # fmt: skip
        """Make a code for an address and have it posted.

        Nothing is posted where the account is disabled, or where too many were sent: nobody is
        told, and the same is done and stored.

        Args:
            email: the address.
            network: whence it is asked.
            browser: the secret of the browser that asks; None for a program.
            post: sends the mail, in the transaction that stores the code.
        """
        address = normalise_email(email)
        code, link = new_code(self._ids.random_bytes), new_token(self._ids.random_bytes)
        slow = await self.hasher.code(address, code)
        code_id = self._ids.uuid7()

        def work(transaction: Transaction) -> None:
            expires = transaction.now_ms + int(limits.CODE_SECONDS * 1000)
            is_sent = self._may_send(transaction, address, network)
            codes.insert_code(
                transaction,
                Code(
                    code_id, address if is_sent else "", keyed(slow, browser),
                    expires if is_sent else transaction.now_ms, tries=0, used=not is_sent,
                    browser=None if browser is None else token_hash(browser),
                    link=token_hash(link), network=network,
                ),
            )  # fmt: skip
            if is_sent:
                post(transaction, SentCode(address, code, link, expires))

        await self._database.writer.submit(work)

    def _may_send(self, transaction: Transaction, email: str, network: str) -> bool:
        """Tell whether an address may be sent a code: its account is open, and it had not many.

        One network has only a part of an address's share, so that whoever asks for somebody's
        codes without end leaves the rest to the person, and none waits for more than an hour.
        """
        account = accounts.account_by_email(transaction.select, email)
        hour, day = transaction.now_ms - _HOUR_MS, transaction.now_ms - _DAY_MS

        def sent(since: int, whence: str | None = None) -> int:
            return codes.codes_sent_since(transaction.select, email, since, whence)

        is_within = (
            sent(hour) < limits.CODES_PER_ACCOUNT_HOUR,
            sent(hour, network) < limits.CODES_PER_ACCOUNT_NETWORK_HOUR,
            sent(day, network) < limits.CODES_PER_ACCOUNT_NETWORK_DAY,
        )
        return all(is_within) and (account is None or not account.disabled)

    async def proof_of_code(
        self, email: object, code: object, browser: str | None = None
    ) -> Prover:
        """Return what proves an address by a code; raises InvalidArgument.

        Tries are counted inside one transaction each, so that guesses in parallel count.
        """
        address = normalise_email(email)
        if not isinstance(code, str) or len(code) > _CODE_CHARACTERS_MAX:
            raise InvalidArgument("a code is a short text", field="code")
        slow = await self.hasher.code(address, code)
        secret = None if browser is None else token_hash(browser)
        hashes = {None: keyed(slow, None), secret: keyed(slow, browser)}

        def prove(transaction: Transaction) -> Proof | None:
            usable = [
                one for one in codes.live_codes(transaction, address)
                if one.tries < limits.CODE_TRIES_MAX and one.browser in hashes
            ]  # fmt: skip
            if any(is_equal(one.hash, hashes[one.browser]) for one in usable):
                codes.use_codes(transaction, address)
                return Proof(method="magic", email=address, is_address_proven=True)
            for one in usable:
                codes.count_try(transaction, one.id)
            return None

        return prove

    async def make_link(self, account: Account, days: float = limits.CODE_SECONDS / 86_400) -> str:
        """Return the token of a one-time sign-in link of an account, for its owner's use."""
        issued = await self._sessions.issue(account, kind="link", days=days)
        return issued.token

    def proof_of_link(
        self, token: object, email: object = None, browser: str | None = None
    ) -> Prover:
        """Return what proves an account or an address by a one-time link, which is used up.

        Args:
            token: what stands in the link.
            email: the address it was sent to; needed where another browser asked for it.
            browser: the secret of the browser.
        """
        if not isinstance(token, str) or len(token) > _TOKEN_CHARACTERS_MAX:
            raise InvalidArgument("t is what stands in the link", field="t")
        address = None if email is None else normalise_email(email)
        hashed = token_hash(token)
        secret = None if browser is None else token_hash(browser)

        def prove(transaction: Transaction) -> Proof | None:
            session = login_sessions.session_by_hash(transaction.select, hashed)
            if session is not None:  # the owner made it, with `pylon login-link`
                if session.kind != "link" or session.expires_at_ms <= transaction.now_ms:
                    return None
                login_sessions.delete_session(transaction, session, "used")
                return Proof(method="link", user_id=session.user_id)
            sent = codes.code_by_link(transaction, hashed)
            if sent is None or sent.tries >= limits.CODE_TRIES_MAX:
                return None
            if sent.browser is None or sent.browser != secret:
                if address is None:
                    raise Unauthenticated(
                        "this link was asked for elsewhere; say which address it was sent to",
                        confirm="email",
                    )
                if address != sent.email:
                    codes.count_try(transaction, sent.id)
                    return None
            codes.use_codes(transaction, sent.email)
            return Proof(method="link", email=sent.email, is_address_proven=True)

        return prove
