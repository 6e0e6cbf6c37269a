"""The runtime's log file: what it prints, bounded, and never a reason for it to stop.

Where a line cannot be written (a full disk) it is lost here and shown all the same: who stopped
reading what the runtime prints would stop the runtime.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pylon import jsonvalue, limits
from pylon.errors import InvalidJson

_ERROR_LINE: Final = "error "


def error_in(line: str) -> str | None:
    """Return what a line of the log says where it is an error; None for any other line."""
    if line.startswith(_ERROR_LINE):
        return line.removeprefix(_ERROR_LINE).strip()
    if not line.startswith('{"level":"error"'):
        return None
    try:
        return str(jsonvalue.parse(line.encode())["message"]).partition("\n")[0]
    except (InvalidJson, KeyError, TypeError):
        return None


def error_line(message: str, *, as_json: bool) -> str:
    """Return a line of ours for the log of a runtime that can't say it itself."""
    if not as_json:
        return f"{_ERROR_LINE:<8}{message}"
    return jsonvalue.encode_text(
        {"level": "error", "logger": "pylon.supervisor", "message": message}
    )


def open_log(path: Path) -> int:
    """Return a descriptor to append to the log with; a full one is set aside before, as `.1`."""
    with suppress(OSError):
        if path.stat().st_size >= limits.RUNTIME_LOG_BYTES_MAX:
            path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


class RuntimeLog:
    """The log of a runtime whose lines come through us."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = open_log(path)
        self._bytes = os.fstat(self._descriptor).st_size

    def write(self, line: bytes) -> None:
        """Append a line; raises nothing."""
        with suppress(OSError):
            if self._bytes >= limits.RUNTIME_LOG_BYTES_MAX:
                fresh = open_log(self._path)
                os.close(self._descriptor)
                self._descriptor = fresh
                self._bytes = os.fstat(fresh).st_size
            self._bytes += os.write(self._descriptor, line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
