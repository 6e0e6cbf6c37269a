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
from pylon.errors import InvalidArgument, NotFound
from pylon.identity import Scope
from pylon.server.auth.accounts import AccountService
from pylon.server.auth.codes import CodeService
from pylon.server.auth.scopes import scope_json, scope_of
from pylon.server.auth.sessions import SessionService
from pylon.server.storage.accounts import Account

_DAYS_DEFAULT, _DAYS_MAX = 90, 3_650
_NAME_CHARACTERS_MAX = 100
_ROLE_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class People:
    """The owner's hand on accounts, over a running runtime's services or a closed database's."""

    accounts: AccountService
    sessions: SessionService
    codes: CodeService
    #: The app as it is now; None where it is not loaded: names in scopes are not checked then.
    definition: Callable[[], AppDefinition | None] = lambda: None

    async def _account(self, who: object) -> Account:
        """Return the account of an address, made where it is new, or of a user id."""
        if not isinstance(who, str) or not who:
            raise InvalidArgument("user is an e-mail address or a user id", field="user")
        account = await self.accounts.ensure(who) if "@" in who else self.accounts.find(who)
        if account is None:
            raise NotFound(
                f"there is no account {who}", hint="an e-mail address that is new gets an account"
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
        self, account: Account, *, days: object = None, name: object = None, scope: object = None
    ) -> dict[str, Any]:
        """Make an API token for the account of the caller; raises as `make_token`."""
        wish = _token_wish(days, name)
        return await self._token(account, *wish, scope_of(scope, self.definition()))

    async def _token(
        self, account: Account, days: float, name: str | None, scope: Scope | None
    ) -> dict[str, Any]:
        shown = scope_json(scope)
        issued = await self.sessions.issue(
            account, kind="token", name=name, days=days,
            scope=None if shown is None else jsonvalue.encode_text(shown),
        )  # fmt: skip
        return {
            "token": issued.token, "id": issued.session.id, "user_id": account.id,
            "email": account.email, "expires_at": iso_ms(issued.session.expires_at_ms),
            **({} if shown is None else {"scope": shown}),
        }  # fmt: skip

    async def change_role(self, who: object, role: object, *, grant: bool) -> dict[str, Any]:
        """Grant a role or take it back; raises InvalidArgument and NotFound."""
        if not isinstance(role, str) or not role.strip() or len(role) > _ROLE_CHARACTERS_MAX:
            raise InvalidArgument("role is a short name", field="role")
        if not grant and isinstance(who, str) and self.accounts.find(who) is None:
            raise NotFound(f"there is no account {who}")
        account = await self._account(who)
        account = await self.accounts.change_role(account.id, role, grant=grant)
        return {"user_id": account.id, "email": account.email, "roles": sorted(account.roles)}

    async def make_login_link(self, who: object, origin: str) -> dict[str, Any]:
        """Make a one-time sign-in link; raises InvalidArgument and NotFound."""
        account = await self._account(who)
        return {
            "url": link_url(origin, await self.codes.make_link(account)),
            "email": account.email,
        }

    def list_users(self) -> dict[str, Any]:
        """Return the accounts by address."""
        return {
            "users": [
                {"id": one.id, "email": one.email, "roles": sorted(one.roles),
                 "disabled": one.disabled}
                for one in self.accounts.listed()
            ]
        }  # fmt: skip


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
