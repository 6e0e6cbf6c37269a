"""The dashboard of a runtime elsewhere: looked at first, then shown; words for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pylon.cli.output import CommandFailed, print_line
from pylon.cli.progress import Waiting
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.version import ADMIN_PROTOCOL, __version__

if TYPE_CHECKING:
    from pylon.tui.elsewhere import Whereabouts


#: What stands in a command that a person may copy: anybody can say that he is of any version.
_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9a-z]+)*(?:\+[0-9a-z.]+)?", re.ASCII)


class TokenRefused(AdminError):
    """The runtime takes another token."""

    code = "UNAUTHENTICATED"


async def show_remote(
    base: str, token: str, *, is_check: bool, when_let_in: Callable[[], None] = lambda: None
) -> int:
    """Show the dashboard of a runtime elsewhere, over TCP with its admin token.

    Raises TokenRefused for another token, AdminError where it can't be reached, CommandFailed for
    one of another version.

    Args:
        base: scheme, host and port.
        token: the admin token.
        is_check: only look, and say what is there.
        when_let_in: called once the token was accepted.
    """
    admin = AdminClient(base, token=token)
    try:
        status = await look(admin, base)
        when_let_in()
        if is_check:
            print_line(said_of(status, base))
            return 0
        return await show(admin, base, status, where=base)
    finally:
        await admin.close()


async def look(admin: AdminClient, base: str) -> dict[str, Any]:
    """Return the status of a runtime that this dashboard can work with."""
    try:
        with Waiting(f"no answer yet of {base}")():
            status = await admin.get("admin/status")
    except AdminError as error:
        if error.code == "UNAUTHENTICATED":
            refused = TokenRefused(f"{base} does not take this admin token")
            refused.hint = error.hint
            raise refused from error
        raise
    theirs = status.get("admin_protocol")
    if theirs != ADMIN_PROTOCOL:
        version = str(status.get("pylon") or "an older Pylon")
        raise CommandFailed(
            f"the runtime at {base} is of {version}, which this dashboard ({__version__}) does not"
            " know",
            f"use the dashboard of its version: uvx --from pylon-runtime=={version} pylon attach …"
            if _VERSION.fullmatch(version)
            else f"bring it to {__version__} there, or attach with the older Pylon",
        )
    return status


def said_of(status: dict[str, Any], base: str) -> str:
    """Return what is there, in one line."""
    mode = "production" if status["environment"] == "production" else "development"
    return f"{status['app']} answers at {base}: {mode}, Pylon {status['pylon']}"


async def show(
    admin: AdminClient, url: str, status: dict[str, Any], *, where: str,
    elsewhere: Whereabouts | None = None,
) -> int:  # fmt: skip
    """Show the dashboard until it is left.

    Args:
        admin: the way to the runtime.
        url: where its pages are; empty where only the other machine has them.
        status: what it said of itself.
        where: what a person calls the place.
        elsewhere: tells why it says nothing, and what can be done.
    """
    from pylon.cli.dashboard import run_screens
    from pylon.tui.dashboard import Dashboard

    app = Dashboard(SystemClock(), admin, elsewhere=elsewhere, is_afar=True)
    app.url = url
    app.state.environment = str(status["environment"])
    app.state.machine = urlsplit(where).netloc
    app.greeting = said_of(status, where)
    if status["pylon"] != __version__:
        app.greeting += f"; this dashboard is {__version__}"
    code, _ = await run_screens(app, None)
    return code
