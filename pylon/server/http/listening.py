"""Where a runtime is reached: its port, the owner's socket, and the file that says so.

What does not live here: which requests are let in (`gate`), and how connections end
(`connections`).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from functools import partial
from pathlib import Path
from typing import Any, Final

from pylon import paths
from pylon.server.http.connections import BACKLOG, PatientServer, listen_on
from pylon.server.http.gate import Gate, known_names
from pylon.server.http.services import Services
from pylon.server.http.table import make_router
from pylon.server.lifecycle import Stopper

#: What requests in flight get to finish at a stop, and once more to end when they are cancelled.
_SHUTDOWN_SECONDS: Final = 1.2


class Listening:
    """The doors of one runtime."""

    def __init__(self, services: Services, stopper: Stopper) -> None:
        """Make it; each door is closed by the stopper."""
        self._services = services
        self._stopper = stopper
        self._router = make_router(is_dev=services.config.is_dev)
        self._servers: list[tuple[asyncio.Server, PatientServer]] = []
        self.door: socket.socket | None = None

    async def begin(self, listen_fd: int | None) -> int:
        """Open the doors and return the port; raises AddressInUse.

        Args:
            listen_fd: a socket that listens already; None opens what the settings say.
        """
        services, config = self._services, self._services.config
        host = config["server.host"]
        if listen_fd is not None:
            listener = socket.socket(fileno=listen_fd)
        else:
            listener = listen_on(host, config["server.port"])
        self.door = listener
        listener.setblocking(False)  # noqa: FBT003 -- the socket API
        port = int(listener.getsockname()[1])
        services.bound_port = port
        services.known_hosts, services.known_origins = known_names(
            host, port, config["server.origins"]
        )
        self._stopper.add("listeners", self._end)
        self._stopper.add("goodbye", services.hub.say_goodbye)
        await self._serve(listener, is_local_socket=False)
        path = paths.admin_socket_path(config.project)
        if path is not None:
            await self._serve(_local_socket(path), is_local_socket=True)
            self._stopper.add("admin socket", partial(unlink, path))
        self._tell(host, port)
        return port

    async def _serve(self, listener: socket.socket, *, is_local_socket: bool) -> None:
        gate = Gate(self._services, self._router, is_local_socket=is_local_socket)
        server = PatientServer(gate.handle)
        listening = await asyncio.get_running_loop().create_server(
            server, sock=listener, backlog=BACKLOG
        )
        self._servers.append((listening, server))
        self._services.servers.append(server)

    def _tell(self, host: str, port: int) -> None:
        """Write down where the runtime is, for the tools of this machine."""
        services, config = self._services, self._services.config
        state: dict[str, Any] = {
            "pid": os.getpid(), "port": port, "host": host,
            "started_ms": services.started_ms, "app": services.definitions.current.name,
            "project": str(config.project), "mode": "dev" if config.is_dev else "serve",
        }  # fmt: skip
        where = paths.runtime_file(config.project)
        paths.write_private(where, json.dumps(state).encode())  # noqa: TID251 -- a plain file
        self._stopper.add("state file", partial(unlink, where))

    async def _end(self) -> None:
        for listening, server in self._servers:
            listening.close()
            server.pre_shutdown()  # idle connections close now, busy ones after their answer
        await asyncio.gather(*(server.shutdown(_SHUTDOWN_SECONDS) for _, server in self._servers))


def _local_socket(path: Path) -> socket.socket:
    """Return a socket at a path, which nobody but the owner of this process can reach."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        local = socket.socket(socket.AF_UNIX)
        local.bind(str(path))
    finally:
        os.umask(before)
    return local


async def unlink(path: Path) -> None:
    """Remove a file at a stop, if it is still there."""
    path.unlink(missing_ok=True)
