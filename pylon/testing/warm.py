"""Served projects whose runtimes are forked from one warm process, so that a start is cheap.

A runtime spends nine tenths of its start on imports. `WarmProject` is a `ServedProject` without
them: the same arguments, environment and folder, a process and pipes of its own.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping

from pylon import jsonvalue
from pylon.testing.served import LINE_BYTES_MAX, RuntimeProcess, ServedProject

#: What tests lower for the runtime that they start.
INHERITED_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)


class WarmProcess:
    """A forked runtime; stands where asyncio's own process would."""

    def __init__(self, stdout: asyncio.StreamReader) -> None:
        self.stdout: asyncio.StreamReader | None = stdout
        self.pid = 0
        self.returncode: int | None = None
        self._has_ended = asyncio.Event()

    async def follow(self, told: socket.socket) -> None:
        """Return once it runs; notes its end when that comes."""
        reader, writer = await asyncio.open_connection(sock=told)
        word, _, pid = (await reader.readline()).decode().partition(" ")
        if word != "started":
            writer.close()
            raise RuntimeError("the warm process that forks runtimes is gone")
        self.pid = int(pid)
        self._noting = asyncio.create_task(self._note_end(reader, writer))

    async def _note_end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            self.returncode = int(line.split()[1]) if line else -9  # it took its forker along
            self._has_ended.set()
        finally:
            writer.close()

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        await self._has_ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signal: int, /) -> None:
        """Send a signal; raises ProcessLookupError where it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        os.kill(self.pid, signal)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(9)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


class WarmStarts:
    """The process that forks; ends with whoever made it."""

    def __init__(self) -> None:
        self._asks, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                [sys.executable, "-m", "pylon.testing.warm_runtime", str(theirs.fileno())],
                stdin=subprocess.PIPE, pass_fds=[theirs.fileno()],
            )  # fmt: skip

    async def start(self, *arguments: str, environment: Mapping[str, str]) -> WarmProcess:
        """Fork a runtime that inherits folder, umask and limits as they are now."""
        asked = {
            "arguments": list(arguments), "environment": dict(environment), "folder": os.getcwd(),
            "umask": _umask(),
            "limits": {str(one): resource.getrlimit(one) for one in INHERITED_LIMITS},
        }  # fmt: skip
        printed, output = os.pipe()
        told, tells = socket.socketpair()
        try:
            message = jsonvalue.encode(asked)
            socket.send_fds(self._asks, [message], [output, tells.fileno()])
        finally:
            os.close(output)
            tells.close()
        stdout = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(printed, "rb")
        )
        process = WarmProcess(stdout)
        await process.follow(told)
        return process

    def close(self) -> None:
        """End it, and what it forked."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._asks.close()


class WarmProject(ServedProject):
    """A served project; the first one starts the process that forks them all."""

    _starts: WarmStarts | None = None

    @staticmethod
    def close_starts() -> None:
        """End the process that forks; the next project starts another."""
        if WarmProject._starts is not None:
            WarmProject._starts.close()
            WarmProject._starts = None

    async def _spawn(self, *arguments: str) -> RuntimeProcess:
        if WarmProject._starts is None:
            WarmProject._starts = WarmStarts()
        return await WarmProject._starts.start(*arguments, environment=self._environment)
