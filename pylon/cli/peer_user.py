"""Which user of this machine is at the other end of a connection over loopback; Linux says it.

An address that is opened by a command stands in that command's arguments, which everybody on the
machine can read. What does not live here: what is refused to whom (`web_gate`).
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Final

#: A program may reach an IPv4 address through an IPv6 socket, which is listed apart.
_TABLES: Final = ("tcp", "tcp6")
_MAPPED: Final = "0000000000000000FFFF0000"
_LOCAL, _REMOTE, _USER = 1, 2, 7


def user_of_peer(
    peer: tuple[str, int], here: tuple[str, int], tables: Path | None = None
) -> int | None:
    """Return the id of the user whose program has the other end; None where nothing says it.

    Args:
        peer: IPv4 address and port of the other end.
        here: those of ours.
        tables: the folder of the system's lists of connections.
    """
    if not sys.platform.startswith("linux") and tables is None:
        return None
    try:
        ends = (_written(*peer), _written(*here))
    except OSError:
        return None  # no IPv4 address
    for name in _TABLES:
        try:
            lines = ((tables or Path("/proc/net")) / name).read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines[1:]:
            words = line.split()
            if len(words) > _USER and tuple(
                one.removeprefix(_MAPPED) for one in (words[_LOCAL], words[_REMOTE])
            ) == ends:  # fmt: skip
                return int(words[_USER])
    return None


def _written(host: str, port: int) -> str:
    """Return an end of a connection as the system's lists have it."""
    number = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    return f"{number:08X}:{port:04X}"
