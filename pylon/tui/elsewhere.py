"""A runtime of this machine that another process supervises: how it goes there, and what is asked.

While it starts anew, sleeps or has failed it answers nobody; its supervisor does.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pylon.supervisor.claim import supervised
from pylon.supervisor.door import SupervisorRefused, ask_supervisor


class Whereabouts(Protocol):
    """What an attached dashboard asks where the runtime itself says nothing."""

    @property
    def is_supervised(self) -> bool:
        """Tell whether there is a supervisor to ask."""
        ...

    @property
    def is_held(self) -> bool:
        """Tell whether a migration that waits for a decision keeps it from starting."""
        ...

    async def look(self, *, is_first: bool) -> str:
        """Return why the runtime says nothing, in a few words."""
        ...

    async def restart(self) -> None:
        """Have it started anew; raises SupervisorRefused."""
        ...

    async def stop(self) -> None:
        """Have it stopped; raises SupervisorRefused."""
        ...


class Elsewhere:
    """The supervisor of a project, as seen from an attached dashboard."""

    def __init__(self, project: Path) -> None:
        self._project = project

    @property
    def is_supervised(self) -> bool:
        """Tell whether there is a supervisor to ask."""
        return supervised(self._project) is not None

    @property
    def is_held(self) -> bool:
        """Tell whether a migration that waits for a decision keeps it from starting."""
        record = supervised(self._project)
        return record is not None and record.is_held

    async def look(self, *, is_first: bool) -> str:
        """Return why its runtime says nothing, in a few words.

        One that fell asleep before it was ever seen is woken: opening a dashboard is coming to it.
        """
        record = supervised(self._project)
        if record is None:
            return "nobody supervises it any more"
        if record.state == "asleep":
            if not is_first:
                return "it sleeps; ctrl+r wakes it"
            with suppress(SupervisorRefused):
                await ask_supervisor(self._project, "wake")
            return "it is being woken"
        why = f": {record.why}" if record.why else ""
        return f"it is {record.state} there{why}"

    async def restart(self) -> None:
        """Have the supervisor start it anew, or wake it; raises SupervisorRefused."""
        await ask_supervisor(self._project, "restart", why="asked for in a dashboard")

    async def stop(self) -> None:
        """Have the supervisor stop it; raises SupervisorRefused."""
        await ask_supervisor(self._project, "stop")
