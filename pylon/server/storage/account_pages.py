"""Accounts as the owner looks through them: found by words, role and state, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pylon import jsonvalue
from pylon.server.storage.accounts import COLUMNS, NO_EMAIL, Account, Rows, account_of
from pylon.server.storage.search_line import WORDS_MAX, key_of

#: In the order in which they are asked: the first that holds is the account's state.
STATES: Final = ("disabled", "guest", "invited", "unproven", "active")
_LIVE: Final = "FROM _pylon_sessions s WHERE s.user_id = a.id AND s.expires_at > ?"
#: Two parameters: now, twice. Invited: a link that signs in waits, and nobody has come by it.
_STATE: Final = (
    "CASE WHEN a.disabled THEN 'disabled' WHEN a.guest THEN 'guest'"
    f" WHEN EXISTS (SELECT 1 {_LIVE} AND s.kind = 'link')"
    f" AND NOT EXISTS (SELECT 1 {_LIVE} AND s.kind <> 'link') THEN 'invited'"
    " WHEN NOT a.proven THEN 'unproven' ELSE 'active' END"
)
_EMAIL: Final = f"CASE WHEN a.email LIKE '{NO_EMAIL}%' THEN '' ELSE a.email END"
#: What a search line names, and how often the expression asks for the time of now.
_NAMED: Final = {
    "state": (_STATE, 2), "email": (_EMAIL, 0), "id": ("a.id", 0),
    "sessions": (f"(SELECT count(*) {_LIVE} AND s.kind = 'session')", 1),
    "tokens": (f"(SELECT count(*) {_LIVE} AND s.kind = 'token')", 1),
    "created": ("strftime('%Y-%m-%d %H:%M', a.created_at / 1000, 'unixepoch')", 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One account with its state, and what of its sessions and tokens is stored."""

    account: Account
    state: str
    sessions: int
    tokens: int
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One page; `total` is how many are found on all pages."""

    found: list[AccountSummary]
    total: int


def read_page(rows: Rows, search: str, *, after: str, limit: int, now_ms: int) -> AccountPage:
    """Return accounts by address, those without one by id among them.

    Args:
        rows: what is asked.
        search: words that must all be in address, id or roles; `role:x`, `state:x` and others of
            `_NAMED` look at the beginning of those; a `!` before the line turns it round. Ten
            words count.
        after: only those behind this key (`accounts.key_of`).
        limit: how many.
        now_ms: what has expired until then does not count.
    """
    where, params = _condition(search, now_ms)
    ((total,),) = rows(f"SELECT count(*) FROM _pylon_accounts a WHERE {where}", params)
    found = rows(
        f"SELECT {COLUMNS}, {_STATE} FROM _pylon_accounts a WHERE a.email > ? AND {where}"
        " ORDER BY a.email LIMIT ?",
        (now_ms, now_ms, after, *params, limit),
    )
    counts = _counts(rows, [str(row[0]) for row in found], now_ms)
    return AccountPage(
        [AccountSummary(account_of(row), row[-1], *counts.get(row[0], (0, 0, None)))
         for row in found],
        total,
    )  # fmt: skip


def read_summary(rows: Rows, account: Account, now_ms: int) -> AccountSummary:
    """Return the summary of one account."""
    ((state,),) = rows(
        f"SELECT {_STATE} FROM _pylon_accounts a WHERE a.id = ?", (now_ms, now_ms, account.id)
    ) or [("active",)]
    return AccountSummary(
        account, state, *_counts(rows, [account.id], now_ms).get(account.id, (0, 0, None))
    )


def _condition(search: str, now_ms: int) -> tuple[str, tuple[Any, ...]]:
    """Return the condition of a search line with its parameters."""
    line = search.strip().lower()
    is_inverse = line.startswith("!")
    parts: list[str] = []
    params: list[Any] = []
    for word in line.removeprefix("!").split()[:WORDS_MAX]:
        name, colon, value = word.partition(":")
        expression, values = _NAMED.get(key_of(name), ("", 0)) if colon else ("", 0)
        if colon and key_of(name) in ("role", "roles"):
            parts.append("EXISTS (SELECT 1 FROM json_each(a.roles) j"
                         " WHERE instr(lower(j.value), ?) = 1)")  # fmt: skip
            params.append(value)
        elif expression:
            parts.append(f"instr({expression}, ?) = 1")
            params += [*[now_ms] * values, value]
        else:
            parts.append(f"(instr({_EMAIL}, ?) OR instr(a.id, ?) OR instr(lower(a.roles), ?))")
            params += [word, word, word]
    if not parts:
        return "1", ()
    whole = f"({' AND '.join(parts)})"
    return f"NOT {whole}" if is_inverse else whole, tuple(params)


def _counts(
    rows: Rows, ids: list[str], now_ms: int
) -> dict[str, tuple[int, int, int | None]]:  # fmt: skip
    """Return sessions, tokens and the last use of each that has any."""
    found = rows(
        "SELECT user_id, sum(kind = 'session'), sum(kind = 'token'), max(seen_at)"
        " FROM _pylon_sessions WHERE user_id IN (SELECT value FROM json_each(?))"
        " AND expires_at > ? GROUP BY user_id",
        (jsonvalue.encode_text(ids), now_ms),
    )
    return {row[0]: (row[1], row[2], row[3]) for row in found}
