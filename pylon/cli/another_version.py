"""Faults that a runtime of another version led a command into: told from those of our own."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from pylon.cli.output import CommandFailed
from pylon.client.understanding import not_understood
from pylon.version import __version__

if TYPE_CHECKING:
    from pylon.client.admin import AdminClient

_OLDER: Final = "an older Pylon"
_HINT: Final = "bring both to one version: `pylon --version` here, `pylon health` there"


def said_of_another(error: BaseException) -> CommandFailed | None:
    """Return the paragraph for what reading an answer raised; None: it is a fault of ours.

    Our own runtime, on this machine and of this version, says what this command reads.
    """
    if "pylon.client.admin" not in sys.modules:
        return None  # nobody was asked
    from pylon.client.admin import AdminClient

    admin = AdminClient.asked_last()
    if admin is None:
        return None
    theirs = asyncio.run(_version_of(admin))
    if admin.is_local and theirs == __version__:
        return None
    told = "" if theirs == __version__ else theirs
    return CommandFailed(not_understood("its answer was not understood", error, told), _HINT)


async def _version_of(admin: AdminClient) -> str:
    """Return the version that a runtime says it is of; empty where it does not say."""
    from pylon.client.admin import AdminError

    try:
        return str((await admin.get("admin/status")).get("pylon", _OLDER))
    except AdminError:
        return ""
    finally:
        await admin.close()
