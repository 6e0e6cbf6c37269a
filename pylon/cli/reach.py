"""How a command reaches a project's runtime: over its admin socket, or its closed database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pylon.cli.output import CommandFailed
from pylon.client.admin import AdminClient
from pylon.supervisor.registry import running_runtime

T = TypeVar("T")


def ask_runtime(project: Path, ask: Callable[[AdminClient], Awaitable[T]]) -> T:
    """Ask the project's running runtime; raises CommandFailed where none runs."""
    if running_runtime(project) is None:
        raise CommandFailed(
            f"no runtime runs for {project.name}", "start it with `pylon dev` in its folder"
        )

    async def asked() -> T:
        admin = AdminClient.local(project)
        try:
            return await ask(admin)
        finally:
            await admin.close()

    return asyncio.run(asked())


def ask_people(
    project: Path,
    ask: Callable[[AdminClient], Awaitable[dict[str, Any]]],
    offline: Callable[[Any], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Ask the running runtime, or do the same on the closed database; runs no project code.

    Args:
        project: the project's folder.
        ask: what to ask of the running runtime.
        offline: the same with the accounts of the closed database.
    """
    if running_runtime(project) is not None:
        return ask_runtime(project, ask)

    async def opened() -> dict[str, Any]:
        from pylon.server.offline import open_people

        async with open_people(project) as people:
            return await offline(people)

    return asyncio.run(opened())
