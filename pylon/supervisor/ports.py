"""Which port each of the user's projects has: remembered, and no two of them the same.

Who binds one holds the lock on the list meanwhile, so two starts at once get two ports. A project
that was named a port (by a flag or pylon.toml) binds that one and is not in the list.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pylon import jsonvalue, paths
from pylon.errors import AddressInUse, InvalidJson
from pylon.printable import shell_line
from pylon.supervisor.claim import supervised
from pylon.supervisor.registry import known_projects

#: Ports that are tried behind the first one.
PORTS_TRIED: Final = 1_000
_BACKLOG: Final = 1024
_PORT_MAX: Final = 65_535


def bind_remembered(project: Path, host: str, first: int) -> socket.socket:
    """Bind the port that the project has, or else the next free one, which it has from then on.

    Where a foreign program has its port for now, another one serves this once.

    Raises AddressInUse where none is free, OSError where the address is not of this machine.
    """
    key = str(project.resolve())
    with paths.locked(paths.ports_file()):
        ports = known_ports()
        for port in _candidates(ports, key, first):
            try:
                bound = listening_socket(host, port)
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
            if ports.get(key) is None:
                _store({**ports, key: port})
            return bound
    raise AddressInUse(
        f"no port from {first} on is free", hint="choose one with --port, or forget old projects"
    )


def _candidates(ports: dict[str, int], key: str, first: int) -> Iterator[int]:
    """Yield the project's own port, then those that no other project has."""
    if key in ports:
        yield ports[key]
    taken = set(ports.values())
    for port in range(first, min(first + PORTS_TRIED, _PORT_MAX + 1)):
        if port not in taken:
            yield port


def bind_named(host: str, port: int) -> socket.socket:
    """Bind the very port that was asked for; raises AddressInUse saying who has it."""
    try:
        return listening_socket(host, port)
    except OSError as error:
        holder = _holder_of(port) if error.errno == errno.EADDRINUSE else None
        if holder is not None:
            end = shell_line("projects", "stop", holder)
            hint = f"{holder} has it: {end}, or choose another with --port"
        else:
            hint = "another program has the port; choose one with --port"
        raise AddressInUse(
            f"cannot listen on {host}:{port}: {error.strerror}", hint=hint
        ) from error


def _holder_of(port: int) -> str | None:
    """Return the folder of the user's project that has a port now."""
    for one in known_projects():
        record = supervised(Path(one.path))
        if record is not None and record.port == port and record.state != "stopped":
            return one.path
    return None


def known_ports() -> dict[str, int]:
    """Return the ports of projects whose folders are there, by folder."""
    try:
        stored = jsonvalue.parse(paths.ports_file().read_bytes())
        return {
            str(folder): int(port) for folder, port in stored.items()
            if 0 < int(port) <= _PORT_MAX and Path(folder).is_dir()
        }  # fmt: skip
    except (OSError, InvalidJson, AttributeError, TypeError, ValueError):
        return {}


def forget_port(folder: str) -> None:
    """Let others have a project's port."""
    with paths.locked(paths.ports_file()):
        ports = known_ports()
        if ports.pop(folder, None) is not None:
            _store(ports)


def _store(ports: dict[str, int]) -> None:
    paths.write_private(paths.ports_file(), jsonvalue.encode(ports))


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens and that a child may inherit; raises OSError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener
