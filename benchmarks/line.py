"""One line of the table that a run of the benchmarks prints, and a port for what it starts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Line:
    """One line of the table; `holds` is None where no promise is made."""

    work: str
    pylon: str
    pocketbase: str
    ratio: float | None
    promise: str
    holds: bool | None
    raw: dict[str, Any]


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
