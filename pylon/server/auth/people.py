"""What the owner does with accounts: tokens, roles, sign-in links. Answers as JSON values.

Asked by the admin surface of a running runtime and by the commands on a closed database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.clock import iso_ms
from pylon.errors import Conflict, InvalidArgument, NotFound
from pylon.identity import Identity, Scope
from pylon.server.auth.accounts import AccountService
from pylon.server.auth.addresses import normalise_email
from pylon.server.auth.codes import CodeService
from pylon.server.auth.own_data import OwnData
from pylon.server.auth.roles import checked_role, checked_roles
from pylon.server.auth.scopes import scope_json, scope_of
from pylon.server.auth.second_factor import SecondFactor
from pylon.server.auth.sessions import SessionService, session_json
from pylon.server.storage.account_pages import AccountSummary
from pylon.server.storage.accounts import Account, key_of

_DAYS_DEFAULT, _DAYS_MAX = 90, 3_650
_NAME_CHARACTERS_MAX = 100
_LIST_MAX = 1_000
_SEARCH_CHARACTERS_MAX = 200
#: How long an invitation's link works.
INVITE_DAYS = 7


@dataclass(frozen=True, slots=True)
class People:
    """The owner's hand on accounts, over a running runtime's services or a closed database's."""

    accounts: AccountService
    sessions: SessionService
    codes: CodeService
    second_factor: SecondFactor
    own_data: OwnData
    #: The app as it is now; None where it is not loaded: names in scopes are not checked then.
    definition: Callable[[], AppDefinition | None] = lambda: None

    async def _account(self, who: object) -> Account:
        """Return the account of an address, made where it is new, or of a user id."""
        if not isinstance(who, str) or not who:
            raise InvalidArgument("user is an e-mail address or a user id", field="user")
        account = await self._of_address(who) if "@" in who else self.accounts.find(who)
        if account is None:
            raise NotFound(
                f"there is no account {who}", hint="an e-mail address that is new gets an account"
            )
        return account

    async def _of_address(self, email: str) -> Account:
        """Return the account of the person who has an address; raises Conflict where none shows it.

        Whoever registers an address by a password has not shown that it is his: what the owner
        gives to the person would be his.
        """
        account = await self.accounts.ensure(email)
        if not account.is_proven:
            raise Conflict(
                f"nobody has proven yet that {account.email} is his: somebody else may have"
                " registered it",
                hint=f"have him sign in by a code, invite him, or name the account: {account.id}",
                reason="unproven",
            )
        return account

    async def make_token(
        self, who: object, *, days: object = None, name: object = None, scope: object = None
    ) -> dict[str, Any]:
        """Make an API token for an account, by address or id.

        Raises InvalidArgument, NotFound, and Conflict where it has too many.
        """
        wish = _token_wish(days, name)
        checked = scope_of(scope, self.definition())
        return await self._token(await self._account(who), *wish, checked)

    async def make_own_token(
        self, account: Account, caller: Identity, *, days: object = None, name: object = None,
        scope: object = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Make an API token for the account of the caller; raises as `make_token`.

        Raises Unauthenticated where the caller is out by now.
        """
        wish = _token_wish(days, name)
        return await self._token(account, *wish, scope_of(scope, self.definition()), caller)

    async def _token(
        self, account: Account, days: float, name: str | None, scope: Scope | None,
        caller: Identity | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        shown = scope_json(scope)
        issued = await self.sessions.issue(
            account, kind="token", name=name, days=days,
            scope=None if shown is None else jsonvalue.encode_text(shown), caller=caller,
        )  # fmt: skip
        return {
            "token": issued.token, "id": issued.session.id, "user_id": account.id,
            "email": account.email, "expires_at": iso_ms(issued.session.expires_at_ms),
            **({} if shown is None else {"scope": shown}),
        }  # fmt: skip

    async def change_role(self, who: object, role: object, *, grant: bool) -> dict[str, Any]:
        """Grant a role or take it back; raises InvalidArgument and NotFound."""
        role = checked_role(role)
        account = await self._account(who) if grant else self._there(str(who))
        account = await self.accounts.change_role(account.id, role, grant=grant)
        return {"user_id": account.id, "email": account.email, "roles": sorted(account.roles)}

    async def make_login_link(self, who: object, origin: str) -> dict[str, Any]:
        """Make a one-time sign-in link; raises InvalidArgument and NotFound."""
        account = await self._account(who)
        return {
            "url": link_url(origin, await self.codes.make_link(account)),
            "email": account.email,
        }

    # --- looking

    async def list_users(
        self, *, search: str | None = None, limit: int | None = None, after: str | None = None
    ) -> dict[str, Any]:
        """Return accounts by address that a search line finds, and the key of the next page.

        Raises InvalidArgument for a limit out of bounds or a line that is too long.
        """
        most = _LIST_MAX if limit is None else limit
        if not 1 <= most <= _LIST_MAX:
            raise InvalidArgument(f"limit is 1 to {_LIST_MAX}", field="limit")
        if search is not None and len(search) > _SEARCH_CHARACTERS_MAX:
            raise InvalidArgument(
                f"search has at most {_SEARCH_CHARACTERS_MAX} characters", field="search"
            )
        page = await self.accounts.page(search or "", after=after or "", limit=most)
        return {
            "users": [self._summary_json(one) for one in page.found],
            "next": key_of(page.found[-1].account) if len(page.found) == most else None,
            "total": page.total,
        }

    def _summary_json(self, one: AccountSummary) -> dict[str, Any]:
        account = one.account
        stored, since = one.last_seen_ms, self.sessions.seen_of(account.id)
        seen = max((at for at in (stored, since) if at is not None), default=None)
        return {
            "id": account.id, "email": account.email, "roles": sorted(account.roles),
            "state": one.state, "disabled": account.disabled, "is_guest": account.is_guest,
            "is_proven": account.is_proven, "created_at": iso_ms(account.created_at_ms),
            "sessions": one.sessions, "tokens": one.tokens,
            "last_seen": None if seen is None else iso_ms(seen), "key": key_of(account),
        }  # fmt: skip

    def show(self, who: str) -> dict[str, Any]:
        """Return an account, what signs it in, and its sessions; raises NotFound."""
        account = self._there(who)
        sessions = [session_json(one) for one in self.sessions.sessions_of(account.id)]
        about = self.own_data.account_json(account)
        state = self.accounts.summary(account).state
        return {**about, "disabled": account.disabled, "state": state, "sessions": sessions}

    def _there(self, who: str) -> Account:
        account = self.accounts.find(who)
        if account is None:
            raise NotFound(f"there is no account {who}", hint="pylon users lists them")
        return account

    # --- acting

    async def set_disabled(self, who: str, *, disabled: bool) -> dict[str, Any]:
        """Lock an account out, or let it in again; raises NotFound."""
        account = await self.accounts.set_disabled(who, disabled=disabled)
        return {"user_id": account.id, "email": account.email, "disabled": account.disabled}

    async def revoke(self, who: str, session_id: object = None) -> dict[str, Any]:
        """End one session or token of an account, or all of them; raises NotFound."""
        account = self._there(who)
        if session_id is None:
            ended = await self.sessions.end_others(account.id, None, "revoked")
        elif await self.sessions.end(str(session_id), account.id, "revoked"):
            ended = 1
        else:
            raise NotFound("there is no such session", hint="pylon users show lists them")
        return {"user_id": account.id, "email": account.email, "ended": ended}

    async def reset_factor(self, who: str) -> dict[str, Any]:
        """Take an account's second factor away; raises NotFound."""
        account = self._there(who)
        is_gone = await self.second_factor.remove(account.id)
        return {"user_id": account.id, "email": account.email, "removed": is_gone}

    async def invite(self, email: object, roles: object, origin: str) -> dict[str, Any]:
        """Make an account and a link that signs it in once within a week; raises InvalidArgument.

        Roles are added to those that it has. Whoever registered the address before loses it.
        """
        wanted = checked_roles(roles)
        account = await self.accounts.vouch(normalise_email(email))
        for role in sorted(wanted or ()):
            account = await self.accounts.change_role(account.id, role, grant=True)
        token = await self.codes.make_link(account, days=INVITE_DAYS)
        return {
            "user_id": account.id, "email": account.email, "roles": sorted(account.roles),
            "url": link_url(origin, token),
        }  # fmt: skip

    async def delete(self, who: str) -> dict[str, Any]:
        """Delete an account with its User row; raises as `OwnData.delete`."""
        account = self._there(who)
        await self.own_data.delete(account.id)
        return {"user_id": account.id, "email": account.email, "deleted": True}


def link_url(origin: str, token: str) -> str:
    """Return a one-time link: its token stands where no server, log or Referer sees it."""
    return f"{origin}/auth/link#t={token}"


def _token_wish(days: object, name: object) -> tuple[float, str | None]:
    """Return for how many days, and under which name; raises InvalidArgument."""
    days = _DAYS_DEFAULT if days is None else days
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= _DAYS_MAX:
        raise InvalidArgument(f"days is more than 0, at most {_DAYS_MAX}", field="days")
    if name is not None and (not isinstance(name, str) or len(name) > _NAME_CHARACTERS_MAX):
        raise InvalidArgument(
            f"name is a text of at most {_NAME_CHARACTERS_MAX} characters", field="name"
        )
    return days, name
