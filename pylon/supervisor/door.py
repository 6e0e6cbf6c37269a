"""A supervisor's own door: what others of the same user ask of it, over a socket of its own.

The runtime's surface is not enough for that: a runtime that sleeps, restarts or hangs answers
nobody. One request per connection, each a line of JSON: `{"do": "wake"}`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson, PylonError
from pylon.printable import shell_line

_LINE_BYTES_MAX: Final = 65_536
_ASK_SECONDS: Final = 90.0
Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class SupervisorRefused(PylonError):
    """The supervisor did not do it, or does not answer."""

    code = "SUPERVISOR_REFUSED"


class Door:
    """The listening side; `answer(request)` does what is asked, or raises a PylonError."""

    def __init__(self, project: Path, answer: Answer) -> None:
        self._path = paths.supervisor_socket_path(project)
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Listen, for the owner only. Whoever calls it has claimed the project."""
        if self._path is None:
            return
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.setblocking(False)  # noqa: FBT003 -- the socket API
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=_LINE_BYTES_MAX
        )

    async def close(self) -> None:
        """Listen no more; what was asked gets its answer."""
        if self._server is None or self._path is None:
            return
        self._server.close()
        self._server = None
        mine = asyncio.current_task()
        waited = [one for one in self._tasks if one is not mine]
        if waited:
            _ = await asyncio.wait(waited, timeout=1.0)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            line = await reader.readline()
            answer = await self._answered(line)
            writer.write(jsonvalue.encode(answer) + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            return  # it left, or said more than a line may hold
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            request = jsonvalue.parse(line)
            if not isinstance(request, dict):
                raise InvalidJson("a request is an object")
            return await self._answer(request)
        except PylonError as error:
            return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


async def ask_supervisor(project: Path, do: str, **given: Any) -> dict[str, Any]:
    """Ask the supervisor of a project to do something; returns its record.

    Raises SupervisorRefused where none answers, or it said no.
    """
    path = paths.supervisor_socket_path(project)
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            if path is None:
                raise FileNotFoundError("there are no Unix sockets here")
            reader, writer = await asyncio.open_unix_connection(str(path), limit=_LINE_BYTES_MAX)
            try:
                writer.write(jsonvalue.encode({"do": do, **given}) + b"\n")
                answer = jsonvalue.parse(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, InvalidJson, ValueError) as error:
        why = str(error) or "no time left"
        raise SupervisorRefused(
            f"nobody supervises {project.name}, or it does not answer: {why}",
            hint=f"start it: {shell_line('projects', 'start', project)}",
        ) from error
    refusal = answer.get("error")
    if isinstance(refusal, dict):
        raise SupervisorRefused(str(refusal["message"]), hint=refusal.get("hint"))
    return dict(answer)
