"""A project's own web server in development, such as Vite: started, watched, started again.

It listens on a port of loopback that only the runtime asks, which serves its pages under the app's
own address. What does not live here: the runtime's own process (`process`), the asking (`server`).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pylon.clock import Clock

_LINE_BYTES_MAX: Final = 262_144
#: Seconds before it is started again, by how often it ended soon after its start.
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
#: One that ran so long had started well.
_STEADY_SECONDS: Final = 30.0
_SECONDS_TO_END: Final = 5.0
_TETHER: Final = Path(__file__).with_name("tether.py")
#: What a program of others has no business with.
_SECRETS: Final = ("PYLON_ADMIN_TOKEN",)


class WebServer:
    """One program, by its command; `tell(kind, text)` gets what it prints and what became of it."""

    def __init__(self, project: Path, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._project = project
        self._clock = clock
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.command = ""
        #: Where it listens once it has started.
        self.port = 0

    @property
    def pid(self) -> int | None:
        """Return the id of the process that holds it, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def use(self, command: str) -> None:
        """Run this command from now on, and no other; an empty one runs none."""
        if command == self.command:
            return
        await self.stop()
        self.command = command
        if command:
            self.port = _free_port()
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="pylon-web-server"
            )

    async def stop(self) -> None:
        """End it, and what it started."""
        task, self._task, self.command, self.port = self._task, None, "", 0
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                said = f"ended with code {await self._run_once()}"
            except (OSError, ValueError) as error:  # of a quote that is not closed, say
                said = f"can't be started: {error}"
            has_been_steady = self._clock.monotonic() - began >= _STEADY_SECONDS
            failures = 0 if has_been_steady else min(failures + 1, len(_PAUSES))
            pause = _PAUSES[max(failures - 1, 0)]
            why = self._hint() or f"[web] dev in pylon.toml: {self.command}"
            self._tell("note", f"the web server {said}: again in {pause:g} s ({why})")
            await self._clock.sleep(pause)

    def _hint(self) -> str:
        """Return the usual reason why one does not start, where it is that."""
        wants_packages = (self._project / "package.json").is_file()
        if wants_packages and not (self._project / "node_modules").is_dir():
            return "its packages are not installed: run npm install in the project"
        return ""

    async def _run_once(self) -> int:
        words = shlex.split(self.command.replace("{port}", str(self.port)))
        environment = {key: value for key, value in os.environ.items() if key not in _SECRETS}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(_TETHER), *words, cwd=self._project,
            env={**environment, "PORT": str(self.port), "FORCE_COLOR": "0", "NO_COLOR": "1"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, limit=_LINE_BYTES_MAX, start_new_session=True,
        )  # fmt: skip
        self._process = process
        try:
            await self._read_lines(process)
            return await process.wait()
        finally:
            await asyncio.shield(_end(process))

    async def _read_lines(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit: what is left of it comes next
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._tell("line", f"web     {text}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let go of the tether, and have it gone."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_SECONDS_TO_END):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _free_port() -> int:
    """Return a port of loopback that nobody has now; the program says so where that changed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
