"""One supervisor per project: a lock that ends with its process, and a file that says how it goes.

The file stays when the supervisor ends: the list of projects shows the last error from it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from pylon import jsonvalue, paths
from pylon.errors import InvalidJson, PylonError
from pylon.printable import shell_line
from pylon.supervisor.registry import is_alive

_TEXT_MAX = 500


class AlreadySupervised(PylonError):
    """Another process supervises this project."""

    code = "ALREADY_SUPERVISED"


@dataclass(frozen=True, slots=True)
class Record:
    """How a project's runtime was doing when its supervisor said it last. Times are Unix ms."""

    pid: int
    #: Not before the supervisor's process began: a later process is another one.
    started_ms: int
    mode: str
    host: str
    #: 0 until it has bound one.
    port: int
    state: str = "stopped"
    why: str = ""
    #: It failed because a migration waits for a decision.
    is_held: bool = False
    since_ms: int = 0
    #: Runs with no terminal, and ends with its runtime.
    is_keeper: bool = False
    #: Sees to saves by itself.
    watches: bool = False
    #: It sleeps when nobody came for so long; 0: never.
    sleep_after_s: float = 0.0
    #: When it is woken for what is due; None while it is awake, or where nothing is.
    wake_at_ms: int | None = None
    error_at_ms: int | None = None
    error: str = ""

    @property
    def url(self) -> str:
        """Return where the app's pages are, as a browser on this machine reaches them."""
        return url_of(self.host, self.port)


def url_of(host: str, port: int) -> str:
    """Return where something that listens on an address is reached on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def last_record(project: Path) -> Record | None:
    """Return what was written down last, whether its supervisor lives or not."""
    path = paths.supervisor_file(project)
    try:
        return msgspec.convert(jsonvalue.parse(path.read_bytes()), Record)
    except (OSError, InvalidJson, msgspec.ValidationError):
        return None


def supervised(project: Path) -> Record | None:
    """Return how the project's supervisor says it goes; None where none lives."""
    found = last_record(project)
    return found if found is not None and is_alive(found.pid, found.started_ms) else None


class Claim:
    """A project, claimed by this process."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._descriptor: int | None = None
        self.record: Record | None = None
        #: The file does not say what the record does: it could not be written.
        self._is_untold = False
        #: The last error, of the runtime's lines or of its life, and when (Unix ms).
        self._error: tuple[int | None, str] = (None, "")

    def take(self) -> None:
        """Claim the project; raises AlreadySupervised naming the process that has it."""
        path = paths.supervisor_lock(self._project)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        if not paths.take_lock(descriptor, waits=False):
            os.close(descriptor)
            holder = supervised(self._project)
            who = "another process" if holder is None else f"process {holder.pid}"
            where = "" if holder is None else f", on {holder.url}"
            raise AlreadySupervised(
                f"{self._project.name} is in use: {who} supervises it{where}",
                hint=f"attach to it with `{shell_line(self._project)}`,"
                f" or end it with `{shell_line('projects', 'stop', self._project)}`",
            )
        self._descriptor = descriptor
        before = last_record(self._project)
        if before is not None:
            self._error = (before.error_at_ms, before.error)

    def note_error(self, at_ms: int, text: str) -> None:
        """Keep the last error, to be told with what is told next."""
        self._error = (at_ms, text)

    def tell(self, record: Record | None = None, **changed: Any) -> None:
        """Write down how it goes: a whole record at first, then what has changed.

        Raises OSError where the first can't be written. A disk that is full later stops nobody
        from watching: what could not be told is told again the next time.
        """
        assert self._descriptor is not None
        new = record or replace(_given(self.record), **changed)
        at_ms, error = self._error
        new = replace(new, why=new.why[:_TEXT_MAX], error_at_ms=at_ms, error=error[:_TEXT_MAX])
        if new == self.record and not self._is_untold:
            return
        self.record, self._is_untold = new, True
        try:
            paths.write_private(paths.supervisor_file(self._project), jsonvalue.encode(asdict(new)))
        except OSError:
            if record is not None:
                raise
        else:
            self._is_untold = False

    def release(self) -> None:
        """Let the next one have the project."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _given(record: Record | None) -> Record:
    assert record is not None, "a claim tells a whole record first"
    return record
