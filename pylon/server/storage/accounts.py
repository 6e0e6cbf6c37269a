"""Accounts: who there is, with which roles. What signs them in is in the modules beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue
from pylon.server.storage.change_log import note_identity
from pylon.server.storage.transaction import Transaction

Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
#: What stands for the address of an account that has none; no address has this form.
NO_EMAIL: Final = "none:"


@dataclass(frozen=True, slots=True)
class Account:
    """Who can sign in: not a row of an entity, never in the log's images."""

    id: str
    email: str | None
    roles: frozenset[str]
    disabled: bool
    auth_version: int
    #: Somebody showed that the address is his, or the owner made the account.
    is_proven: bool = True
    #: Nobody in particular yet; becomes an account like any other with its first proven address.
    is_guest: bool = False
    created_at_ms: int = 0

    @property
    def proven_email(self) -> str | None:
        """Return the address as policies know it: none that somebody only claims to have."""
        return self.email if self.is_proven else None

    @property
    def label(self) -> str:
        """Return what to call it: its address, else its id."""
        return self.email or self.id


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """What listeners are told after a commit: sessions ended, or who somebody is changed.

    `session_id` None is all of the user's; the reason `identity_changed` ends nothing.
    """

    user_id: str
    session_id: str | None
    reason: str


COLUMNS: Final = "id, email, roles, disabled, auth_version, proven, guest, created_at"
_ACCOUNT: Final = f"SELECT {COLUMNS} FROM _pylon_accounts"


def account_of(row: tuple[Any, ...]) -> Account:
    """Return the account that `COLUMNS` of a row are."""
    email = None if row[1].startswith(NO_EMAIL) else row[1]
    return Account(
        row[0], email, frozenset(jsonvalue.decode_trusted(row[2])), bool(row[3]), row[4],
        bool(row[5]), bool(row[6]), row[7],
    )  # fmt: skip


def account_by_id(rows: Rows, user_id: str) -> Account | None:
    """Return the account of a user id."""
    found = rows(f"{_ACCOUNT} WHERE id = ?", (user_id,))
    return account_of(found[0]) if found else None


def account_by_email(rows: Rows, email: str) -> Account | None:
    """Return the account of a normalised address."""
    found = rows(f"{_ACCOUNT} WHERE email = ?", (email,))
    return account_of(found[0]) if found else None


def list_accounts(rows: Rows, limit: int | None = 1000) -> list[Account]:
    """Return accounts by address, those without one by id among them; None: all of them."""
    found = rows(f"{_ACCOUNT} ORDER BY email LIMIT ?", (-1 if limit is None else limit,))
    return [account_of(row) for row in found]


def key_of(account: Account) -> str:
    """Return where an account stands in the list."""
    return account.email or f"{NO_EMAIL}{account.id}"


def insert_account(
    transaction: Transaction, user_id: str, email: str | None, *,
    is_proven: bool = True, is_guest: bool = False,
) -> Account:  # fmt: skip
    """Create an account without roles; None: it has no address."""
    transaction.execute(
        "INSERT INTO _pylon_accounts (id, email, roles, created_at, proven, guest)"
        " VALUES (?, ?, '[]', ?, ?, ?)",
        (
            user_id, email or f"{NO_EMAIL}{user_id}", transaction.now_ms, int(is_proven),
            int(is_guest),
        ),
    )  # fmt: skip
    transaction.batch_facts.clear()
    return Account(
        user_id, email, frozenset(), disabled=False, auth_version=0, is_proven=is_proven,
        is_guest=is_guest, created_at_ms=transaction.now_ms,
    )  # fmt: skip


def sample_by_roles(rows: Rows, each: int, at_most: int) -> list[Account]:
    """Return at most `each` accounts of every distinct set of roles, the newest first."""
    found = rows(
        f"SELECT {COLUMNS} FROM"
        " (SELECT *, row_number() OVER (PARTITION BY roles ORDER BY created_at DESC) AS place"
        " FROM _pylon_accounts WHERE disabled = 0) WHERE place <= ? ORDER BY place LIMIT ?",
        (each, at_most),
    )
    return [account_of(row) for row in found]


def granted_roles(rows: Rows) -> frozenset[str] | None:
    """Return the roles that accounts have; None where there is no account to have one."""
    ((count,),) = rows("SELECT count(*) FROM _pylon_accounts", ())
    if not count:
        return None
    found = rows("SELECT DISTINCT j.value FROM _pylon_accounts a, json_each(a.roles) j", ())
    return frozenset(str(name) for (name,) in found)


def set_roles(transaction: Transaction, user_id: str, roles: frozenset[str]) -> None:
    """Replace an account's roles; its auth_version rises, and its replicas start over."""
    transaction.execute(
        "UPDATE _pylon_accounts SET roles = ?, auth_version = auth_version + 1 WHERE id = ?",
        (jsonvalue.encode_text(sorted(roles)), user_id),
    )
    _changed(transaction, user_id)


def settle_guest(
    transaction: Transaction, guest: Account, email: str | None, *, is_proven: bool
) -> Account:
    """Make a guest an account like any other, with or without address; his replicas start over."""
    transaction.execute(
        "UPDATE _pylon_accounts SET email = ?, proven = ?, guest = 0,"
        " auth_version = auth_version + 1 WHERE id = ?",
        (email or f"{NO_EMAIL}{guest.id}", int(is_proven or email is None), guest.id),
    )
    _changed(transaction, guest.id)
    found = account_by_id(transaction.select, guest.id)
    assert found is not None
    return found


def _changed(transaction: Transaction, user_id: str) -> None:
    """Take note that what policies see of a user is other now."""
    if transaction.seq > 0:  # before the first change nobody has a cursor
        transaction.seq = note_identity(transaction.connection, user_id, transaction.seq)
    transaction.batch_facts.clear()
    transaction.tell(AccountNotice(user_id, None, "identity_changed"))


def set_proven(transaction: Transaction, user_id: str) -> None:
    """Take note that somebody showed that the address of an account is his.

    Policies know it from now on: its auth_version rises, and its replicas start over.
    """
    transaction.execute(
        "UPDATE _pylon_accounts SET proven = 1, auth_version = auth_version + 1 WHERE id = ?",
        (user_id,),
    )
    _changed(transaction, user_id)


def set_disabled(transaction: Transaction, user_id: str, *, disabled: bool) -> None:
    """Disable or enable an account; its auth_version rises, and a disabled one's sockets end."""
    transaction.execute(
        "UPDATE _pylon_accounts SET disabled = ?, auth_version = auth_version + 1 WHERE id = ?",
        (int(disabled), user_id),
    )
    transaction.batch_facts.clear()
    transaction.tell(AccountNotice(user_id, None, "disabled" if disabled else "identity_changed"))


def delete_account(transaction: Transaction, user_id: str) -> None:
    """Delete an account; what else belongs to it is deleted where it lives."""
    transaction.execute("DELETE FROM _pylon_accounts WHERE id = ?", (user_id,))
    transaction.batch_facts.clear()
    transaction.tell(AccountNotice(user_id, None, "deleted"))
