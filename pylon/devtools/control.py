"""Hot reload against a runtime that somebody else supervises, over its admin surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.supervisor.claim import supervised
from pylon.supervisor.door import ask_supervisor

#: Where the runtime answers nobody, and a save may mend what ails it.
_MENDABLE: Final = ("failed", "hung", "backing off")


class AttachedControl:
    """What a dev session may ask of a runtime that it did not start."""

    def __init__(self, admin: AdminClient, project: Path) -> None:
        self._admin = admin
        self._project = project

    async def reload(self) -> dict[str, Any]:
        """Load the app anew; one that could not start is started anew by its supervisor."""
        record = supervised(self._project)
        if record is None or record.state not in _MENDABLE:
            return await self._admin.post("admin/reload", {})
        after = await ask_supervisor(self._project, "restart", why="the app was saved")
        is_good = after["state"] == "running"
        return {
            "ok": is_good, "generation": 1, "plan": "",
            "mistakes": [] if is_good else [f"the runtime did not start: {after['error']}"],
        }  # fmt: skip

    async def refresh_pages(self) -> None:
        """Make open pages load again."""
        await self._admin.post("admin/refresh-pages", {})

    async def restart(self, reason: str) -> None:
        """Have the supervisor start the runtime anew; it does so by itself where it sees saves."""
        record = supervised(self._project)
        if record is None:
            raise AdminError(f"{reason}: this runtime must be started anew, where it was started")
        if not record.watches:
            await ask_supervisor(self._project, "restart", why=reason)
