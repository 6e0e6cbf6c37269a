"""Supervision of one project's runtime: the shell around `lifecycle`, and one stream of events.

The listening socket stays here, so that a restart, or a sleep, keeps the port and nobody's
connection attempt is refused. A project has one supervisor; others ask it through its own door.
The dashboard, `pylon dev --no-tui`, `pylon serve` and the keeper all stand on this.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from pylon import limits, paths
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import Clock
from pylon.errors import AddressInUse
from pylon.supervisor.asked import answer, reload_or_start
from pylon.supervisor.claim import Claim, Record, url_of
from pylon.supervisor.door import Door, SupervisorRefused
from pylon.supervisor.lifecycle import EXIT_FAILED, Command, Event, Lifecycle, ProcessState
from pylon.supervisor.memory_watch import MemoryWatch
from pylon.supervisor.ports import bind_named, bind_remembered
from pylon.supervisor.process import RuntimeProcess
from pylon.supervisor.runtime_log import error_in, error_line
from pylon.supervisor.sleeping import Sleep
from pylon.supervisor.stacks import held_by, loop_first, written_since
from pylon.supervisor.web_server import WebServer

_HEARTBEAT_SECONDS = 0.5
_HEARTBEAT_TIMEOUT_SECONDS = 1.0
_STACK_LINES_MAX = 200
#: How a runtime begins the line that says why it can't start.
_COMPLAINT = "pylon: "
#: What a person said for one start: a runtime that comes up again later is not told it anew.
_ONCE = ("--accept-policy-change",)


@dataclass(frozen=True, slots=True)
class SupervisorEvent:
    """Something that a person may want to see: lines, a new state, or a stack."""

    kind: str
    text: str
    state: ProcessState
    is_held: bool = False  # by a migration that waits


Listener = Callable[[SupervisorEvent], None]


class Supervisor:
    """Starts, watches, restarts and stops one runtime."""

    def __init__(
        self, project: Path, clock: Clock, *, mode: str, host: str = "127.0.0.1",
        port: int = 4321, may_move: bool = False, extra: tuple[str, ...] = (),
        sleep_after_s: float = 0.0, is_keeper: bool = False, watches: bool = False,
        web_command: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        """Make a supervisor, not started.

        Args:
            project: the project's folder.
            clock: tells the time.
            mode: dev or serve.
            host: the address to listen on.
            port: the port; where it may move, the first that is thought of.
            may_move: nobody named this port: the project's own is taken, or the next free one.
            extra: further words for the runtime.
            sleep_after_s: the runtime sleeps when nobody came for so long; 0: never.
            is_keeper: this process has no terminal and ends with the runtime.
            watches: this process sees to saves, too.
            web_command: tells the command of the project's own web server, asked at each start.
        """
        self.project = project
        self.clock = clock
        self._mode, self.host, self.port = mode, host, port
        self._may_move = may_move
        self._extra = extra
        self._is_keeper, self._watches = is_keeper, watches
        self._claim = Claim(project)
        self._door = Door(project, partial(answer, self))
        self.sleep = Sleep(clock, sleep_after_s, self._wake_soon)
        self.lifecycle = Lifecycle()
        self.lines: deque[str] = deque(maxlen=limits.LOG_LINES_KEPT_MAX)
        self.stack = ""
        #: What the runtime said of itself last.
        self.status: dict[str, Any] = {}
        self._said = ""
        self._memory = MemoryWatch()
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
    def record(self) -> Record:
        """Return what others of this user can read of it; it has claimed its project."""
        assert self._claim.record is not None
        return self._claim.record

    @property
    def pid(self) -> int | None:
        """Return the runtime's process id while it lives."""
        return self._process.pid if self._process is not None else None

    def listen(self, listener: Listener) -> None:
        """Call `listener(event)` for lines, states and stacks."""
        self._listeners.append(listener)

    # --- life

    async def start(self) -> None:
        """Claim the project, bind the port and start the runtime; returns at once.

        Raises AlreadySupervised, and AddressInUse where the port is taken.
        """
        if self._claim.record is None:
            self.claim()
        try:
            self._bind()
        except AddressInUse:
            self._claim.release()
            raise
        await self._door.open()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch(), name="pylon-supervisor")]
        await self.step(Event.START_ASKED)

    def claim(self) -> None:
        """Claim the project before it is started; raises AlreadySupervised."""
        self._claim.take()
        now = self.clock.now_ms()
        self._claim.tell(
            Record(
                pid=os.getpid(), started_ms=now, mode=self._mode, host=self.host, port=0,
                state=str(ProcessState.STARTING), since_ms=now, is_keeper=self._is_keeper,
                watches=self._watches, sleep_after_s=self.sleep.after_s,
            )
        )  # fmt: skip

    def _bind(self) -> None:
        """Bind the port that was asked for, or the project's own where nobody asked for one."""
        if self._may_move and self.port:
            self._listener_socket = bind_remembered(self.project, self.host, self.port)
        else:
            self._listener_socket = bind_named(self.host, self.port)
        self.port = int(self._listener_socket.getsockname()[1])
        self._claim.tell(port=self.port)

    @property
    def url(self) -> str:
        """Return where the app's pages are, as a browser on this machine reaches them."""
        return url_of(self.host, self.port)

    async def restart(self, reason: str = "asked for") -> None:
        """Stop the runtime and start it anew on the same port."""
        self._tell("note", f"restarting: {reason}")
        await self.step(Event.RESTART_ASKED)

    async def stop(self) -> None:
        """Stop the runtime and return when it is gone."""
        await self.step(Event.STOP_ASKED)
        while self.state is not ProcessState.STOPPED:
            self._changed.clear()
            await self._changed.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            await self._process.gone()
        await self._close()

    async def _close(self) -> None:
        self.sleep.end()
        await self._door.close()
        await self.web_server.stop()
        if self._listener_socket is not None:
            self._listener_socket.close()
            self._listener_socket = None
        await self.admin.close()
        self._claim.release()

    async def until(self, *states: ProcessState, timeout_s: float) -> ProcessState:
        """Return when the runtime is in one of the states; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.state not in states:
                self._changed.clear()
                await self._changed.wait()
        return self.state

    # --- the machine's commands

    async def step(self, event: Event, *, exit_code: int | None = None, said: str = "") -> None:
        """Take an event, and do what the machine says."""
        before = self.state
        commands = self.lifecycle.step(
            event, self.clock.monotonic(), exit_code=exit_code, said=said
        )
        if self.state is not before:
            self._note_state(before)
            why = f": {self.lifecycle.why}" if self._is_bad else ""
            self._tell("state", f"{self.state}{why}")
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
        if self.state is ProcessState.ASLEEP:
            await self.web_server.stop()

    @property
    def _is_bad(self) -> bool:
        return self.state in (ProcessState.FAILED, ProcessState.HUNG, ProcessState.BACKING_OFF)

    def _note_state(self, before: ProcessState) -> None:
        """Write down a new state, and watch the port while the runtime sleeps."""
        now = self.clock.now_ms()
        if self._is_bad:
            self._claim.note_error(now, self.lifecycle.why)
        if self.state is ProcessState.ASLEEP:
            assert self._listener_socket is not None
            self.sleep.begin(self._listener_socket)
        elif before is ProcessState.ASLEEP:
            self.sleep.end()
        is_asleep = self.state is ProcessState.ASLEEP
        self._claim.tell(
            state=str(self.state), why=self.lifecycle.why if self._is_bad else "", since_ms=now,
            wake_at_ms=self.sleep.wake_at_ms if is_asleep else None, is_held=self.lifecycle.is_held,
        )  # fmt: skip

    async def _spawn(self) -> None:
        assert self._listener_socket is not None
        extra = self._extra
        if self._web_command is not None:
            await self.web_server.use(self._web_command())
        if self.web_server.port:
            extra += ("--web-port", str(self.web_server.port))
        self._process = RuntimeProcess(
            self.project, mode=self._mode, listener=self._listener_socket, host=self.host,
            port=self.port, extra=extra,
            on_lines=self._take_lines, on_exit=self._exited,
        )  # fmt: skip
        self._said = ""
        try:
            await self._process.spawn()
        except OSError as error:  # no memory, no descriptors, no place for its log
            said = f"it could not be started: {error}"
            await self.step(Event.EXITED, exit_code=EXIT_FAILED, said=said)

    async def _dump_stacks(self) -> None:
        if self._process is None or not hasattr(signal, "SIGUSR1"):
            return
        path = paths.stacks_path(self.project)
        before = path.stat().st_size if path.is_file() else 0
        self._process.signal(signal.SIGUSR1)
        await self.clock.sleep(0.2)
        text = written_since(path, before)
        if text:
            self.stack = "\n".join(loop_first(text).splitlines()[:_STACK_LINES_MAX])
            held = held_by(text, self.project.resolve())
            self.lifecycle.held_by = held or ""
            self.log(f"function.hung {held or 'something'} does not give the loop back")
            self._tell("stack", self.stack)

    def log(self, message: str) -> None:
        """Say something in the runtime's place, as a line of its log: it can't, itself."""
        line = error_line(message, as_json=self._mode != "dev")
        if self._process is not None:
            self._process.log(line)
        self._take_lines([line])

    def _take_lines(self, texts: list[str]) -> None:
        self.lines.extend(texts)
        for text in texts:
            if text.startswith(_COMPLAINT):
                self._said = text.removeprefix(_COMPLAINT)
            elif text.startswith("listening on "):
                self._extra = tuple(one for one in self._extra if one not in _ONCE)
            elif (error := error_in(text)) is not None:
                self._claim.note_error(self.clock.now_ms(), error)
        self._tell("line", "\n".join(texts))

    def _exited(self, code: int) -> None:
        task = asyncio.get_running_loop().create_task(
            self.step(Event.EXITED, exit_code=code, said=self._said)
        )
        self._tasks.append(task)

    def _tell(self, kind: str, text: str) -> None:
        event = SupervisorEvent(kind, text, self.state, is_held=self.lifecycle.is_held)
        for listener in self._listeners:
            listener(event)

    # --- watching

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(_HEARTBEAT_SECONDS)
            self._tasks = [task for task in self._tasks if not task.done()]
            await self.step(Event.TICK)
            self._claim.tell()
            if self.state is ProcessState.ASLEEP:
                self.sleep.look_at_the_time()
            if self.state in (ProcessState.STARTING, ProcessState.RUNNING, ProcessState.HUNG):
                await self.step(await self._heartbeat())

    async def _heartbeat(self) -> Event:
        try:
            looks = 1 if self.sleep.is_time_to_look else None
            async with asyncio.timeout(_HEARTBEAT_TIMEOUT_SECONDS):
                status = await self.admin.get("admin/status", idle=looks)
        except (AdminError, TimeoutError, aiohttp.ClientError, OSError):
            return Event.SILENT
        # Another runtime may own the folder, and its admin socket: that is not our child.
        if status.get("pid") != self.pid:
            return Event.SILENT
        self.status = status
        await self._watch_memory(status)
        idle = status.get("idle")
        if idle is not None and self.state is ProcessState.RUNNING and self.sleep.may_begin(idle):
            with suppress(AdminError, SupervisorRefused):  # somebody came just now
                await self.doze(self.sleep.after_s)
        return Event.ANSWERED

    async def _watch_memory(self, status: dict[str, Any]) -> None:
        """Restart a runtime that keeps more memory than it may, before nothing works in it."""
        said = self._memory.too_much(status)
        if said is not None and self.state is ProcessState.RUNNING:
            self.log(f"runtime.memory {said}")
            await self.restart(said)

    # --- sleep

    async def doze(self, idle_s: float = 0.0) -> None:
        """Let the runtime sleep until somebody comes, or something is due.

        Raises AdminError, saying why, where it is not idle, and SupervisorRefused where it does not
        run.
        """
        if self.state is ProcessState.ASLEEP:
            return
        if self.state is not ProcessState.RUNNING:
            raise SupervisorRefused(f"{self.project.name} is {self.state}: it can't fall asleep")
        self.sleep.note_due((await self.admin.get("admin/status", idle=1))["idle"])
        # Before it is asked: it may have ended before its answer is read.
        self.lifecycle.is_dozing = True
        try:
            await self.admin.post("admin/shutdown", {"if_idle_s": idle_s})
        except AdminError:
            self.lifecycle.is_dozing = False
            raise
        await self.step(Event.SLEEP_ASKED)

    def _wake_soon(self, why: str) -> None:
        self._tell("note", f"waking: {why}")
        task = asyncio.get_running_loop().create_task(self.step(Event.START_ASKED))
        self._tasks.append(task)

    # --- what the dev session asks

    async def reload(self, *, consent: bool = False) -> dict[str, Any]:
        """Load the app anew in the running runtime; with consent, lossy migrations too.

        A runtime that could not start, or that hangs, is started anew with what was saved.
        """
        return await reload_or_start(self, consent=consent)

    async def refresh_pages(self) -> None:
        """Make open pages load again."""
        await self.admin.post("admin/refresh-pages", {})
