"""How a command reaches a project's runtime: over its admin socket, or its closed database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pylon.cli.output import CommandFailed
from pylon.cli.progress import Waiting
from pylon.cli.project import find_project
from pylon.client.admin import AdminClient
from pylon.supervisor.door import ask_supervisor
from pylon.supervisor.registry import running_runtime

T = TypeVar("T")


def local_admin(project: Path) -> AdminClient:
    """Return the client of a project's own runtime, which tells a person of a long wait."""
    admin = AdminClient.local(project)
    admin.waiting = Waiting(f"no answer yet of the runtime of {project.name}")
    return admin


def ask_for_it(project: Path, do: str, **given: Any) -> dict[str, Any]:
    """Ask whoever supervises a project, as `ask_supervisor`, and tell a person of a long wait."""

    async def asked() -> dict[str, Any]:
        with Waiting(f"no answer yet of who supervises {project.name}")():
            return await ask_supervisor(project, do, **given)

    return asyncio.run(asked())


def ask_runtime(project: Path, ask: Callable[[AdminClient], Awaitable[T]]) -> T:
    """Ask the project's running runtime; raises CommandFailed where none runs."""
    if running_runtime(project) is None:
        raise CommandFailed(
            f"no runtime runs for {project.name}", "start it with `pylon dev` in its folder"
        )

    async def asked() -> T:
        admin = local_admin(project)
        try:
            return await ask(admin)
        finally:
            await admin.close()

    return asyncio.run(asked())


def ask_path(project_path: str | None, method: str, path: str, given: dict[str, Any]) -> Any:
    """Return what one route of the owner's answers; raises as `ask_runtime` and `find_project`.

    Args:
        project_path: the project's folder as it was given.
        method: GET or POST.
        path: the route, after `/api/`.
        given: its query, or its body.
    """

    def ask(admin: AdminClient) -> Awaitable[Any]:
        return admin.get(path, **given) if method == "GET" else admin.post(path, given)

    return ask_runtime(find_project(project_path), ask)


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
