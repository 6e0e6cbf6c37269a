"""The world of a run: a server, devices, weather, and the watchers that look on.

What does not live here: what happens in it (`play`).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.client import events as ev
from pylon.clock import iso_ms
from pylon.errors import PylonError
from pylon.server.config import ServerConfig
from pylon.testing.network import MemoryNetwork
from pylon.testing.simulation.device import Device
from pylon.testing.simulation.findings import Finding, LoggedErrors
from pylon.testing.simulation.following import FollowWatch
from pylon.testing.simulation.machines import MakeMachine, PythonMachine
from pylon.testing.simulation.oracle import Oracle
from pylon.testing.simulation.safety import Callers, ReplicaWatch, WireWatch
from pylon.testing.simulation.script import Script
from pylon.testing.simulation.server import SimulatedServer
from pylon.testing.simulation.virtual_time import (
    OWNER,
    VirtualClock,
    VirtualLoop,
)
from pylon.testing.simulation.weather import BadWeather

#: Moments of the past that are looked at where a policy asks the time.
_AGO_SECONDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 45.0, 60.0)


@dataclass(slots=True)
class Outcome:
    """How a run ended, and how much it looked at."""

    finding: Finding | None = None
    #: The step at which it was found; None: after all of them.
    at_step: int | None = None
    virtual_seconds: float = 0.0
    changes: int = 0
    rows_on_wire: int = 0
    replicas_checked: int = 0
    values_checked: int = 0
    operations: int = 0
    #: A checksum over everything that the server sent: equal for equal runs.
    trace: int = 0


class World:
    """Everything that a script can be played on."""

    def __init__(
        self, script: Script, definition: AppDefinition, config: ServerConfig, folder: Path,
        loop: VirtualLoop, outcome: Outcome, machines: dict[str, MakeMachine],
        logged: LoggedErrors,
    ) -> None:  # fmt: skip
        self._script = script
        self._logged = logged
        self._loop = loop
        self._outcome = outcome
        self._clock = VirtualClock(loop)
        self._weather = BadWeather(script.seed)
        self._weather.is_fair = not script.is_stormy
        self._network = MemoryNetwork(self._weather)
        self._oracle = Oracle(definition, loop.time, self._times)
        self._callers = Callers(loop, self._oracle)
        self._wire = WireWatch(self._oracle, self._callers, loop)
        self._network.tap = self._wire.tap
        self._oracle.committed = self._wire.note_head
        self._replicas = ReplicaWatch(self._oracle, self._callers)
        self._server = SimulatedServer(
            definition, config, folder, self._network, self._clock, loop, self._oracle,
            script.seed,
        )  # fmt: skip
        self._say: Callable[[str], None] = lambda text: None
        self._findings: list[Finding] = []
        self._following = FollowWatch(
            self._server, self._callers, loop, lambda name: self._devices.get(name)
        )
        self._wire.followed = self._following.told
        self._tasks: set[asyncio.Task[None]] = set()
        self._was_restored = False
        self._folder = folder
        self._synced = [one.name for one in definition.schema.entities.values() if one.sync]
        self._makers: dict[str, MakeMachine] = {"python": PythonMachine, **machines}
        self._devices = {
            actor.name: self.new_device(actor.name, actor.language) for actor in script.actors
        }

    def new_device(self, name: str, language: str) -> Device:
        """Return a device that nobody has used yet."""
        return Device(
            name, self._folder / f"{name}.db", self._network, self._clock, self._loop,
            self._makers[language], self._script.seed, self._told,
        )  # fmt: skip

    def speak(self, say: Callable[[str], None]) -> None:
        """Have everything told that happens."""
        self._say = lambda text: say(f"{self._loop.time():9.3f} {text}")
        self._wire.told = lambda client, message: self._say(
            f"{client} < {jsonvalue.encode_text(message)[:1500]}"
        )

    def _times(self, seconds: float) -> list[str]:
        """Return what the wall clock showed in the last seconds, newest first."""
        ago = [one for one in _AGO_SECONDS if one <= seconds]
        return [iso_ms(self._clock.shown_ms(one)) for one in ago]

    def _report(self) -> None:
        outcome = self._outcome
        outcome.virtual_seconds = self._loop.time()
        outcome.trace = self._wire.trace
        outcome.changes = self._oracle.head
        outcome.rows_on_wire = self._wire.rows
        outcome.replicas_checked = self._replicas.checks
        outcome.values_checked = self._following.checks
        outcome.operations = sum(len(one.operations) for one in self._devices.values())

    def _check(self) -> None:
        """Raise what was found since the last time."""
        for found in (*self._findings, *self._wire.findings, *self._following.findings):
            raise found
        for error in (*self._loop.failures, *self._logged.errors):
            raise Finding("no code of ours fails", f"{type(error).__name__}: {error}") from error

    def _told(self, device: Device, commands: list[ev.Command]) -> None:
        for command in commands:
            if isinstance(command, ev.Send | ev.Pull | ev.Disconnect | ev.Wipe):
                self._say(f"{device.name} > {jsonvalue.encode_text(command)[:600]}")
        found = self._replicas.look(device, commands)
        if found is not None:
            self._findings.append(found)
        if any(isinstance(one, ev.ForgetSession) for one in commands):
            self._spawn(self._sign_in_again(device, device.email))

    # --- background work

    def _spawn(self, work: Coroutine[Any, Any, None], *, in_server: bool = False) -> None:
        context = contextvars.copy_context()
        context.run(OWNER.set, self._server.owner if in_server else "")
        task = self._loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Finding):
            self._findings.append(error)
        elif error is not None and not isinstance(error, PylonError):
            self._loop.failures.append(error)

    async def _sign_in_again(self, device: Device, email: str | None) -> None:
        await asyncio.sleep(0.5)
        if device.is_up and device.email == email:
            await device.kill()
            await self._enter(device, email)

    async def _enter(self, device: Device, email: str | None) -> None:
        """Sign somebody in on a device, and start it."""
        token, session_id = (None, None) if email is None else await self._session(email)
        if device.is_up:
            return
        device.email = email
        self._wire.email_of[device.next_link_name] = email
        await device.start(email, token, session_id)

    async def _session(self, email: str) -> tuple[str, str]:
        """Return token and id of a new session; waits for a server that is down."""
        while True:
            runtime = self._server.runtime
            if runtime is not None:
                account = runtime.services.accounts.find(email)
                assert account is not None
                issuing = self._in_server(runtime.services.sessions.issue(account))
                await asyncio.wait([issuing])
                if not issuing.cancelled() and issuing.exception() is None:
                    issued = issuing.result()
                    return issued.token, issued.session.id
            await asyncio.sleep(0.25)

    def _in_server(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        context = contextvars.copy_context()
        context.run(OWNER.set, self._server.owner)
        return self._loop.create_task(work, context=context)

    async def _ensure(self, email: str, roles: frozenset[str]) -> None:
        accounts = self._server.running.services.accounts
        account = await self._in_server(accounts.ensure(email, roles))
        self._callers.know(email, account.id, account.roles)

    async def _set_disabled(self, email: str, *, disabled: bool) -> None:
        user_id = self._callers.ids[email]
        task = self._in_server(self._server.set_disabled(user_id, disabled=disabled))
        await asyncio.wait([task])
        is_done = not task.cancelled() and task.exception() is None
        if is_done and disabled:
            self._callers.disable(email)
        elif is_done:
            self._callers.know(email, user_id, self._callers.roles_of(email))

    async def _enable(self, email: str, seconds: float) -> None:
        """End that somebody is disabled, after a while."""
        await asyncio.sleep(seconds)
        while not self._callers.lately(email, 0.0):
            if self._server.runtime is not None:
                await self._set_disabled(email, disabled=False)
            await asyncio.sleep(0.25)

    # --- the server

    async def _restart(self) -> None:
        self._say("the server starts")
        await self._server.start()
        self._oracle.settle()
        await self._open_epoch()

    async def _open_epoch(self) -> None:
        runtime = self._server.running
        database = runtime.services.database
        self._replicas.epoch = database.epoch
        if database.head != self._oracle.head:
            raise Finding(
                "a restart finds what was committed",
                f"the database's head is {database.head}, {self._oracle.head} was committed",
            )
        for email in list(self._callers.ids):
            account = runtime.services.accounts.find(email)
            if account is None:
                raise Finding("a restart finds what was committed", f"{email} is gone")
            if account.disabled:
                self._callers.disable(email)
                self._spawn(self._enable(email, 1.0))
            else:
                self._callers.know(email, account.id, account.roles)
