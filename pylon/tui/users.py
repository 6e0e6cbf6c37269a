"""What the dashboard does about accounts: reads them page by page, and reads again what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.users_pages import UserPages, Wanted

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_GROUP: Final = "users"
#: What is in sight is read again so often, or after so many times as long as it took.
_EVERY_SECONDS: Final = 1.0
_REST: Final = 10.0
_OLD_SECONDS: Final = 2.0


class Users:
    """The accounts of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        self._is_asking = False
        self._next_at = 0.0
        self._read_at: float | None = None
        #: Why the last question failed.
        self._trouble = ""
        self._in_sight = (0, 0, 0)

    @property
    def pages(self) -> UserPages:
        """Return what is held."""
        return self._app.state.users

    def keep_current(self, search: str, cursor: int, top: int, height: int) -> None:
        """Ask for what is missing or old, while the screen is seen.

        Args:
            search: the filter line.
            cursor: the line that the cursor is on.
            top: the first line in sight.
            height: how many are in sight.
        """
        now = self._app.clock.monotonic()
        if search.strip() != self.pages.search:
            self.pages.begin(search.strip())
            self._next_at = now
        self._in_sight = (cursor, top, height)
        is_due = now >= self._next_at or (self.pages.is_missing(cursor) and not self._trouble)
        if is_due and not self._is_asking:
            wanted = self.pages.next_wanted(cursor, top, height)
            self._is_asking = True
            self._app.run_worker(self._ask(wanted), name="users", group=_GROUP)
        self._note(now)

    def ask_again(self) -> None:
        """Have what is in sight read again at once."""
        self._next_at = 0.0

    def go_to_end(self) -> None:
        """Read the pages that are missing until the last one."""
        self.pages.wants_end = self.pages.has_more

    async def _ask(self, wanted: Wanted) -> None:
        clock = self._app.clock
        started = clock.monotonic()
        try:
            answer = await self._admin.get(
                "admin/users", search=wanted.search, after=wanted.after or None, limit=wanted.limit
            )
            with self._app.enduring.understood("users"):
                is_ours = self.pages.take(wanted, answer)
            if is_ours:
                self._trouble, self._read_at = "", clock.monotonic()
                self._app.state.touch("users")
        except AdminError as error:
            self._trouble = " · ".join(part for part in (error.message, error.hint) if part)
        finally:
            took = clock.monotonic() - started
            self._next_at = clock.monotonic() + max(_EVERY_SECONDS, took * _REST)
            self._is_asking = False

    def _note(self, now: float) -> None:
        """Say how far what is shown can be trusted."""
        is_old = self._read_at is None or now - self._read_at > _OLD_SECONDS
        pages, note = self.pages, ""
        if is_old and self._read_at is not None:
            note = f"STALE: not read for {now - self._read_at:.0f} s"
            note += f": {self._trouble}" if self._trouble else ""
        elif self._read_at is None and self._app.state.process_state == "starting":
            note = "◔ the runtime starts …"
        elif self._trouble:
            note = f"✗ {self._trouble}"
        elif pages.total is None:
            note = "◔ searching …" if pages.search else "◔ reading …"
        elif pages.wants_end:
            note = f"◔ reading on to the end … {len(pages.rows):,} of {pages.total:,}"
        if note != self._app.state.users_note:
            self._app.state.users_note = note
            self._app.state.touch("users")


async def known_roles(admin: AdminClient) -> dict[str, list[str]]:
    """Return the roles that policies name, with those policies, and the others that accounts have.

    Empty where the runtime does not say: roles can still be typed.
    """
    try:
        found: dict[str, Any] = await admin.get("admin/policies")
    except AdminError:
        return {}
    roles = {str(name): list(where) for name, where in (found.get("roles") or {}).items()}
    for name in found.get("roles_without_policy") or ():
        roles.setdefault(str(name), [])
    return roles
