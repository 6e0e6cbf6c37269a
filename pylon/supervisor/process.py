"""The runtime's process: spawned with a pipe that tells it when we are gone, its lines read."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pylon import paths
from pylon.supervisor.runtime_log import RuntimeLog

_LINE_BYTES_MAX = 262_144
#: What is read at once. Whoever watches gets these lines together, and then the loop a turn: one
#: that prints 50,000 lines a second must not keep keys and heartbeats waiting.
_CHUNK_BYTES = 65_536


class RuntimeProcess:
    """One child; `on_lines(texts)` gets what it prints, `on_exit(code)` its end."""

    def __init__(
        self, project: Path, *, mode: str, listener: socket.socket, host: str, port: int,
        extra: tuple[str, ...], on_lines: Callable[[list[str]], None],
        on_exit: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._project = project
        self._mode = mode
        self._listener = listener
        self._host, self._port = host, port
        self._extra = extra
        self._on_lines = on_lines
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._printed: RuntimeLog | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while it lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def spawn(self) -> None:
        """Start the child in a session of its own; raises OSError where nothing was started."""
        descriptor = self._listener.fileno()
        command = [
            sys.executable, "-P", "-m", "pylon.server", "--project", str(self._project),
            "--mode", self._mode, "--host", self._host, "--port", str(self._port),
            "--listen-fd", str(descriptor), *self._extra,
        ]  # fmt: skip
        # Before the child: one that nobody reads and waits for would be left behind without it.
        printed = RuntimeLog(paths.runtime_log_path(self._project))
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, pass_fds=(descriptor,), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            printed.close()
            raise
        self._process, self._printed = process, printed
        self._tasks = [asyncio.get_running_loop().create_task(self._watch(process, printed))]

    async def _watch(self, process: asyncio.subprocess.Process, log: RuntimeLog) -> None:
        assert process.stdout is not None
        try:
            rest = b""
            while chunk := await process.stdout.read(_CHUNK_BYTES):
                whole, line_end, tail = chunk.rpartition(b"\n")
                if line_end:
                    self._take(rest + whole, log)
                    rest = tail
                else:
                    rest += tail
                if len(rest) > _LINE_BYTES_MAX:
                    rest = b""  # no line is that long: what is left of it comes next
                await asyncio.sleep(0)
            if rest:
                self._take(rest, log)
        finally:
            self._printed = None
            log.close()
        self._on_exit(await process.wait())

    def _take(self, lines: bytes, log: RuntimeLog) -> None:
        log.write(lines + b"\n")
        self._on_lines(lines.decode("utf-8", "replace").split("\n"))

    def log(self, line: str) -> None:
        """Write a line of ours into its log, where that comes through us."""
        if self._printed is not None:
            self._printed.write(line.encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send a signal to the child."""
        if self.pid is not None and self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask the child to stop."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child and what it started."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Return when the child has ended and its last line was read."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
