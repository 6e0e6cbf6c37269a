"""Hot reload against a runtime that somebody else supervises, over its admin surface."""

from __future__ import annotations

from typing import Any

from pylon.client.admin import AdminClient, AdminError


class AttachedControl:
    """What a dev session may ask of a runtime that it did not start."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    async def reload(self) -> dict[str, Any]:
        """Load the app anew."""
        return await self._admin.post("admin/reload", {})

    async def refresh_pages(self) -> None:
        """Make open pages load again."""
        await self._admin.post("admin/refresh-pages", {})

    async def restart(self, reason: str) -> None:
        """Say that a restart is wanted: only who started the runtime can do that."""
        raise AdminError(
            f"{reason}: this runtime must be started anew, and was not started here",
        )
