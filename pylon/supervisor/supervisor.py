"""Supervision of one project's runtime: the shell around `lifecycle`, and one stream of events.

The listening socket stays here, so that a restart keeps the port and nobody's connection attempt
is refused. The dashboard, `pylon dev --no-tui` and `pylon serve` all stand on this.
"""

from __future__ import annotations

import asyncio
import errno
import math
import signal
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pylon import jsonvalue, limits, paths
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import Clock
from pylon.errors import AddressInUse
from pylon.supervisor.lifecycle import EXIT_FAILED, Command, Event, Lifecycle, ProcessState
from pylon.supervisor.process import RuntimeProcess
from pylon.supervisor.stacks import held_by, loop_first
from pylon.supervisor.web_server import WebServer

_HEARTBEAT_SECONDS = 0.5
_HEARTBEAT_TIMEOUT_SECONDS = 1.0
_STACK_LINES_MAX = 200
_PORTS_TRIED = 20
_START_SECONDS = 30.0
#: How a runtime begins the line that says why it can't start.
_COMPLAINT = "pylon: "
#: What a person said for one start: a runtime that comes up again later is not told it anew.
_ONCE = ("--accept-policy-change",)
_BACKLOG = 1024
#: So many heartbeats with too much memory are no passing peak.
_LARGE_BEATS = 3


@dataclass(frozen=True, slots=True)
class SupervisorEvent:
    """Something that a person may want to see: a line, a new state, or a stack."""

    kind: str
    text: str
    state: ProcessState


Listener = Callable[[SupervisorEvent], None]


class Supervisor:
    """Starts, watches, restarts and stops one runtime."""

    def __init__(
        self, project: Path, clock: Clock, *, mode: str, host: str = "127.0.0.1",
        port: int = 4321, may_move: bool = False, detach: bool = False,
        extra: tuple[str, ...] = (), web_command: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        """Make one.

        Args:
            project: the project's folder.
            clock: tells the time.
            mode: dev or serve.
            host: the address to listen on.
            port: the port.
            may_move: a later port will do where that one is taken.
            detach: the runtime outlives us.
            extra: further arguments of the runtime.
            web_command: tells the command of the project's own web server, asked at each start.
        """
        self.project = project
        self.clock = clock
        self._mode = mode
        self.host, self.port = host, port
        self._may_move = may_move
        self.detach = detach
        self._extra = extra
        self.lifecycle = Lifecycle()
        self.lines: deque[str] = deque(maxlen=limits.LOG_LINES_KEPT_MAX)
        self.stack = ""
        self._said = ""
        #: Heartbeats, one after the other, in which the runtime had too much memory.
        self._large = 0
        self._listeners: list[Listener] = []
        self._listener_socket: socket.socket | None = None
        self._process: RuntimeProcess | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._web_command = web_command
        self.web_server = WebServer(project, clock, self._tell)
        self.admin = AdminClient.local(project)

    @property
    def state(self) -> ProcessState:
        """Return where the runtime stands."""
        return self.lifecycle.state

    @property
    def pid(self) -> int | None:
        """Return the runtime's process id while it lives."""
        return self._process.pid if self._process is not None else None

    def listen(self, listener: Listener) -> None:
        """Call `listener(event)` for lines, states and stacks."""
        self._listeners.append(listener)

    # --- life

    async def start(self) -> None:
        """Bind the port and start the runtime; returns at once.

        Raises AddressInUse where the port is taken.
        """
        self._bind()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch(), name="pylon-supervisor")]
        await self._step(Event.START_ASKED)

    def _bind(self) -> None:
        """Bind the port, or a later one where nobody asked for this very one."""
        tries = _PORTS_TRIED if self._may_move and self.port else 1
        for attempt in range(tries):
            try:
                self._listener_socket = _listening_socket(self.host, self.port + attempt)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and attempt + 1 < tries:
                    continue
                raise AddressInUse(
                    f"cannot listen on {self.host}:{self.port}: {error.strerror}",
                    hint="another program has the port; choose one with --port",
                ) from error
            break
        assert self._listener_socket is not None
        self.port = int(self._listener_socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Return where the app's pages are, as a browser on this machine reaches them."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{host}:{self.port}"

    async def restart(self, reason: str = "asked for") -> None:
        """Stop the runtime and start it anew on the same port."""
        self._tell("note", f"restarting: {reason}")
        await self._step(Event.RESTART_ASKED)

    async def stop(self) -> None:
        """Stop the runtime and return when it is gone."""
        await self._step(Event.STOP_ASKED)
        while self.state is not ProcessState.STOPPED:
            self._changed.clear()
            await self._changed.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            await self._process.gone()
        await self._close()

    async def release(self) -> None:
        """Stop watching and leave a detached runtime running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            self._process.release()
        await self._close()

    async def _close(self) -> None:
        await self.web_server.stop()
        if self._listener_socket is not None:
            self._listener_socket.close()
            self._listener_socket = None
        await self.admin.close()

    async def until(self, *states: ProcessState, timeout_s: float) -> ProcessState:
        """Return when the runtime is in one of the states; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.state not in states:
                self._changed.clear()
                await self._changed.wait()
        return self.state

    # --- the machine's commands

    async def _step(self, event: Event, *, exit_code: int | None = None, said: str = "") -> None:
        before = self.state
        commands = self.lifecycle.step(
            event, self.clock.monotonic(), exit_code=exit_code, said=said
        )
        if self.state is not before:
            self._tell(
                "state", f"{self.state}" + (f": {self.lifecycle.why}" if self._is_bad else "")
            )
        for command in commands:
            match command:
                case Command.SPAWN:
                    await self._spawn()
                case Command.TERMINATE if self._process is not None:
                    self._process.terminate()
                case Command.KILL if self._process is not None:
                    self._tell("note", "it did not stop or answer in time: killed")
                    self._process.kill()
                case Command.DUMP_STACKS:
                    await self._dump_stacks()
                case _:
                    pass
        self._changed.set()

    @property
    def _is_bad(self) -> bool:
        return self.state in (ProcessState.FAILED, ProcessState.HUNG, ProcessState.BACKING_OFF)

    async def _spawn(self) -> None:
        assert self._listener_socket is not None
        extra = self._extra
        if self._web_command is not None:
            await self.web_server.use(self._web_command())
        if self.web_server.port:
            extra += ("--web-port", str(self.web_server.port))
        self._process = RuntimeProcess(
            self.project, mode=self._mode, listener=self._listener_socket, host=self.host,
            port=self.port, extra=extra, detach=self.detach,
            on_line=self._line, on_exit=self._exited,
        )  # fmt: skip
        self._said = ""
        try:
            await self._process.spawn()
        except OSError as error:  # no memory, no descriptors, no place for its log
            said = f"it could not be started: {error}"
            await self._step(Event.EXITED, exit_code=EXIT_FAILED, said=said)

    async def _dump_stacks(self) -> None:
        if self._process is None or not hasattr(signal, "SIGUSR1"):
            return
        path = paths.stacks_path(self.project)
        before = path.stat().st_size if path.is_file() else 0
        self._process.signal(signal.SIGUSR1)
        await self.clock.sleep(0.2)
        if path.is_file():
            with path.open("rb") as stream:
                stream.seek(before)
                text = stream.read(65_536).decode("utf-8", "replace")
            self.stack = "\n".join(loop_first(text).splitlines()[:_STACK_LINES_MAX])
            held = held_by(text, self.project.resolve())
            self.lifecycle.held_by = held or ""
            self._log(f"function.hung {held or 'something'} does not give the loop back")
            self._tell("stack", self.stack)

    def _log(self, message: str) -> None:
        """Say something in the runtime's place, as a line of its log: it can't, itself."""
        line = f"error   {message}"
        if self._mode != "dev":
            line = jsonvalue.encode_text(
                {"level": "error", "logger": "pylon.supervisor", "message": message}
            )
        if self._process is not None:
            self._process.log(line)
        self._line(line)

    def _line(self, text: str) -> None:
        self.lines.append(text)
        if text.startswith(_COMPLAINT):
            self._said = text.removeprefix(_COMPLAINT)
        elif text.startswith("listening on "):
            self._extra = tuple(one for one in self._extra if one not in _ONCE)
        self._tell("line", text)

    def _exited(self, code: int) -> None:
        task = asyncio.get_running_loop().create_task(
            self._step(Event.EXITED, exit_code=code, said=self._said)
        )
        self._tasks.append(task)

    def _tell(self, kind: str, text: str) -> None:
        event = SupervisorEvent(kind, text, self.state)
        for listener in self._listeners:
            listener(event)

    # --- watching

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(_HEARTBEAT_SECONDS)
            self._tasks = [task for task in self._tasks if not task.done()]
            await self._step(Event.TICK)
            if self.state in (ProcessState.STARTING, ProcessState.RUNNING, ProcessState.HUNG):
                await self._step(await self._heartbeat())

    async def _heartbeat(self) -> Event:
        try:
            async with asyncio.timeout(_HEARTBEAT_TIMEOUT_SECONDS):
                status = await self.admin.get("admin/status")
        except (AdminError, TimeoutError, aiohttp.ClientError, OSError):
            return Event.SILENT
        # Another runtime may own the folder, and its admin socket: that is not our child.
        if status.get("pid") != self.pid:
            return Event.SILENT
        await self._watch_memory(status)
        return Event.ANSWERED

    async def _watch_memory(self, status: dict[str, Any]) -> None:
        """Restart a runtime that keeps more memory than it may, before nothing works in it."""
        have, most = status.get("memory_mb", 0.0), status.get("memory_limit_mb") or math.inf
        self._large = self._large + 1 if have > most * limits.MEMORY_RESTART_SHARE else 0
        if self._large < _LARGE_BEATS or self.state is not ProcessState.RUNNING:
            return
        self._large = 0
        names = ", ".join(status.get("running", ())) or "nothing"
        said = f"it keeps {have:.0f} MiB of memory and may have {most:.0f}; it was running {names}"
        self._log(f"runtime.memory {said}")
        await self.restart(said)

    # --- what the dev session asks

    async def reload(self, *, consent: bool = False) -> dict[str, Any]:
        """Load the app anew in the running runtime; with consent, lossy migrations too.

        A runtime that could not start, or that hangs, is started anew with what was saved.
        """
        if self.state in (ProcessState.FAILED, ProcessState.HUNG):
            await self.restart("the app was saved")
            state = await self.until(
                ProcessState.RUNNING, ProcessState.FAILED, timeout_s=_START_SECONDS
            )
            is_good = state is ProcessState.RUNNING
            return {
                "ok": is_good, "generation": 1, "ms": 0.0, "plan": "",
                "mistakes": [] if is_good else ["the runtime did not start; its lines say why"],
            }  # fmt: skip
        return await self.admin.post("admin/reload", {"consent": consent})

    async def refresh_pages(self) -> None:
        """Make open pages load again."""
        await self.admin.post("admin/refresh-pages", {})


def _listening_socket(host: str, port: int) -> socket.socket:
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
