"""Whom the owner means by the beginning of an address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.dialogs import Prompt
from pylon.tui.saying import say

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

#: So many accounts are looked at, and so many of them named.
_READ_MAX: Final = 200
_NAMED_MAX: Final = 4


def ask_whom(app: Dashboard, admin: AdminClient, value: str, then: Callable[[str], None]) -> None:
    """Ask as whom to look, with `value` in the line, and go on with it; empty is the owner."""

    def named(user: str | None) -> None:
        if user is None:
            return
        if not user or "@" in user or user == "anonymous":
            then(user)
        else:
            app.ahead.open("whom that means", lambda: _as_whom(app, admin, user, then), group="row")

    app.push_screen(
        Prompt(
            "Look as (empty: as the owner)", "an e-mail address, a user id, or anonymous",
            value=value, takes_nothing=True,
        ),
        named,
    )  # fmt: skip


async def _as_whom(
    app: Dashboard, admin: AdminClient, word: str, then: Callable[[str], None]
) -> None:
    """Go on with the one account that a word begins or names; say which where there are several.

    Where there is none the word goes on as it is: the runtime says so.
    """
    try:
        found = await _found(admin, word)
        if len(found) >= _READ_MAX:  # there are more, and it may stand anywhere in these
            found = await _found(admin, f"email:{word}")
    except AdminError:
        found = []  # it is what the runtime takes it for
    emails = begun_by(word, found)
    if len(emails) > 1:
        rest = "" if len(found) >= _READ_MAX else f"{len(emails) - _NAMED_MAX} "
        more = f" and {rest}more" if len(emails) > _NAMED_MAX else ""
        named = ", ".join(emails[:_NAMED_MAX])
        say(app, f"{word} may be {named}{more}: say which", is_bad=True, seconds=8)
    else:
        then(emails[0] if emails else word)


async def _found(admin: AdminClient, search: str) -> list[dict[str, Any]]:
    answer = await admin.get("admin/users", search=search, limit=_READ_MAX)
    return list(answer["users"])


def begun_by(word: str, accounts: Sequence[dict[str, Any]]) -> list[str]:
    """Return the addresses that a word begins; none where it is an account's id."""
    if any(one["id"] == word for one in accounts):
        return []
    emails = [str(one["email"]) for one in accounts if one.get("email")]
    return [one for one in emails if one.lower().startswith(word.lower())]
