"""Plays a script in a world, step by step, and then waits for everybody to agree."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pylon import jsonvalue
from pylon.app.definition import AppDefinition
from pylon.client.subscription import Definition
from pylon.clock import iso_ms
from pylon.identity import SYSTEM
from pylon.server.config import ServerConfig
from pylon.server.storage.trimming import Trimmer
from pylon.testing.simulation.device import Device
from pylon.testing.simulation.findings import Finding, LoggedErrors
from pylon.testing.simulation.liveness import check_operations, converge
from pylon.testing.simulation.machines import MakeMachine
from pylon.testing.simulation.script import Script, Step, emails_of
from pylon.testing.simulation.virtual_time import (
    StandsStill,
    VirtualLoop,
    run_virtually,
)
from pylon.testing.simulation.visibility import with_read_policy
from pylon.testing.simulation.world import Outcome, World


def play(
    script: Script, definition: AppDefinition, config: ServerConfig,
    machines: dict[str, MakeMachine] | None = None, say: Callable[[str], None] | None = None,
) -> Outcome:  # fmt: skip
    """Play a script in virtual time; a promise that does not hold is in the outcome.

    Args:
        script: who takes part and what happens.
        definition: the app.
        config: its settings.
        machines: machines besides Python's, by language.
        say: is told every step, every message and every restart, for whoever debugs a seed.
    """
    outcome = Outcome()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="pylon-sim-", dir=memory) as folder:
        logged = LoggedErrors()

        async def run(loop: VirtualLoop) -> None:
            world = _Play(
                script, definition, config, Path(folder), loop, outcome, machines or {}, logged
            )
            if say is not None:
                world.speak(say)
            try:
                await world.play()
            finally:
                await world.clean_up()

        try:
            with logged:
                run_virtually(run)
        except Finding as finding:
            outcome.finding = finding
        except StandsStill:
            outcome.finding = Finding("something always goes on", "nothing can happen any more")
    return outcome


#: Fresh replicas at the end of a run.
_NEWCOMERS_MAX: Final = 2


class _Play(World):
    # --- the run

    async def play(self) -> None:
        await self._server.start()
        await self._open_epoch()
        roles = {one.email: one.roles for one in self._script.actors}
        for email in emails_of(self._script):
            await self._ensure(email, frozenset(roles.get(email, ())))
        for actor in self._script.actors:
            await self._enter(self._devices[actor.name], actor.email)
        for place, step in enumerate(self._script.steps):
            self._outcome.at_step = place
            self._say(f"step {place} {jsonvalue.encode_text(step)}")
            await asyncio.sleep(step.after_ms / 1000)
            await self._take(step)
            self._check()
        self._outcome.at_step = None
        await self._finish()
        self._check()

    async def _finish(self) -> None:
        """End all faults, and wait until everybody agrees."""
        self._say("the faults are over")
        self._weather.clear_up(self._network)
        if self._server.runtime is None:
            await self._restart()
        while self._tasks:
            await asyncio.wait(self._tasks)
            self._check()
        for device in self._devices.values():
            if not device.is_up:
                await self._enter(device, device.email)
        await converge(
            self._devices.values(), self._oracle, self._callers,
            lambda: self._replicas.epoch, self._loop.time, self._check, self._following,
        )  # fmt: skip
        check_operations(self._devices.values(), self._oracle, may_be_lost=self._was_restored)
        await self._check_newcomers()
        self._report()
        for device in self._devices.values():
            await device.kill()
        await self._server.stop()

    async def clean_up(self) -> None:
        """End whatever a broken promise left running."""
        for task in self._tasks:
            task.cancel()
        for device in self._devices.values():
            await device.kill()
        await self._server.give_up()

    async def _check_newcomers(self) -> None:
        """Hold a new replica of each user to the truth (I23)."""
        emails = list(dict.fromkeys(one.email for one in self._devices.values()))
        for place, email in enumerate(emails[:_NEWCOMERS_MAX]):
            device = self.new_device(f"newcomer{place}", "python")
            for slot, entity in enumerate(self._synced, 1):
                device.open[slot] = Definition(entity=entity, where={})
            await self._enter(device, email)
            self._devices[device.name] = device
            await converge(
                [device], self._oracle, self._callers, lambda: self._replicas.epoch,
                self._loop.time, self._check, self._following,
            )  # fmt: skip

    # --- steps

    async def _take(self, step: Step) -> None:
        handler = getattr(self, f"_do_{step.kind}", None)
        assert handler is not None, f"no step is called {step.kind}"
        await handler(step)

    def _device(self, step: Step) -> Device:
        return self._devices[step.actor]

    def _plain(self, value: Any) -> Any:
        """Return a value with ids in place of the users that it names, and moments of times."""
        if isinstance(value, dict):
            if value.keys() == {"$user"}:
                return self._callers.ids[value["$user"]]
            if value.keys() == {"$time"}:
                return iso_ms(self._clock.now_ms() + int(value["$time"] * 1000))
            return {name: self._plain(one) for name, one in value.items()}
        return [self._plain(one) for one in value] if isinstance(value, list) else value

    def _arguments(self, step: Step) -> tuple[str, dict[str, Any]]:
        """Return function and arguments of a step that writes."""
        match step.kind.removeprefix("system_"):
            case "insert":
                args = {"entity": step.entity, "id": step.id, "values": self._plain(step.values)}
                return "pylon.insert", args
            case "update":
                row_id = self._plain(step.more["row"])
                values = self._plain(step.values)
                return "pylon.update", {"entity": step.entity, "id": row_id, "values": values}
            case "delete":
                row_id = self._plain(step.more["row"])
                return "pylon.delete", {"entity": step.entity, "id": row_id}
            case _:
                return step.fn, self._plain(step.args)

    async def _write(self, step: Step) -> None:
        await self._device(step).mutate(*self._arguments(step))

    _do_insert = _do_update = _do_delete = _do_call = _write

    async def _system_write(self, step: Step) -> None:
        if self._server.runtime is None:
            return
        fn, args = self._arguments(step)
        executor = self._server.running.services.executor

        async def write() -> None:
            await executor.mutate(SYSTEM, fn, args, op_id=None, cause="simulation")

        self._spawn(write(), in_server=True)

    _do_system_insert = _do_system_update = _do_system_delete = _system_write

    async def _do_roles(self, step: Step) -> None:
        if self._server.runtime is None:
            return
        email, roles = step.more["email"], frozenset(step.more["roles"])
        if not self._callers.lately(email, 0.0):
            return  # he is disabled
        self._callers.know(email, self._callers.ids[email], roles)
        accounts = self._server.running.services.accounts
        task = self._in_server(accounts.ensure(email, roles))
        await asyncio.wait([task])
        if task.cancelled() or task.exception() is not None:
            return
        self._callers.know(email, task.result().id, task.result().roles)

    async def _do_policy(self, step: Step) -> None:
        """Reload the app with another read policy of one entity."""
        definition = with_read_policy(self._server.definition, step.entity, step.more["read"])
        self._oracle.edit(definition)
        if self._server.runtime is not None:
            await asyncio.wait([self._in_server(self._server.edit(definition))])
            self._oracle.settle()
        else:
            await self._server.edit(definition)

    async def _do_disable(self, step: Step) -> None:
        """Disable a user, for a while."""
        email = step.more["email"]
        if self._server.runtime is None or not self._callers.lately(email, 0.0):
            return
        await self._set_disabled(email, disabled=True)

        self._spawn(self._enable(email, step.more["ms"] / 1000))

    async def _do_revoke(self, step: Step) -> None:
        """End the session of a device, as its user may from another one."""
        device = self._device(step)
        if self._server.runtime is None or device.email is None or device.session_id is None:
            return
        ending = self._server.running.services.sessions.end(
            device.session_id, self._callers.ids[device.email], "revoked"
        )
        await asyncio.wait([self._in_server(ending)])

    async def _do_swap(self, step: Step) -> None:
        """Sign somebody in on a device that runs and goes on running."""
        device, email = self._device(step), step.more["email"]
        life = device.link_name

        async def swap() -> None:
            issued = await self._session(email)
            if device.link_name == life and device.is_up:
                self._wire.email_of[device.swapped_link_name] = email
                await device.swap(email, *issued)

        self._spawn(swap())

    async def _do_wait(self, step: Step) -> None:
        await asyncio.sleep(step.more["ms"] / 1000)

    async def _do_sign_in(self, step: Step) -> None:
        device = self._device(step)
        await device.kill()
        device.email = step.more.get("email")
        self._spawn(self._enter(device, device.email))

    async def _do_sign_out(self, step: Step) -> None:
        device = self._device(step)
        await device.kill()
        self._spawn(self._enter(device, None))

    async def _do_kill(self, step: Step) -> None:
        device = self._device(step)
        email = device.email
        await device.kill()

        async def later() -> None:
            await asyncio.sleep(step.more["ms"] / 1000)
            await self._enter(device, email)

        self._spawn(later())

    async def _do_cut(self, step: Step) -> None:
        for link in list(self._network.links):
            if link.client.partition("#")[0] == step.actor:
                link.reset(is_noticed=False)

    async def _do_hold(self, step: Step) -> None:
        self._weather.hold(step.actor)

        async def later() -> None:
            await asyncio.sleep(step.more["ms"] / 1000)
            self._weather.let_go(step.actor, self._network)

        self._spawn(later())

    async def _do_open(self, step: Step) -> None:
        definition = Definition(
            entity=step.entity, where=self._plain(step.more.get("where", {})),
            limit=step.more.get("limit"), order=[] if step.more.get("limit") else None,
        )  # fmt: skip
        await self._device(step).show(step.more["slot"], definition)

    async def _do_follow(self, step: Step) -> None:
        if self._device(step).can_follow:
            args = self._plain(step.args)
            await self._device(step).follow(step.more["slot"], step.fn, args)

    async def _do_close(self, step: Step) -> None:
        await self._device(step).hide(step.more["slot"])

    _do_unfollow = _do_close

    async def _do_discard(self, step: Step) -> None:
        await self._device(step).give_up()

    async def _do_echo(self, step: Step) -> None:
        """Bring the last batch of changes once more, as a second connection might."""
        await self._device(step).echo()

    async def _do_crash(self, step: Step) -> None:
        if self._server.runtime is not None:
            await self._server.crash()
            await asyncio.sleep(step.more["ms"] / 1000)
            await self._restart()

    async def _do_restart(self, step: Step) -> None:
        await self._server.stop()
        await asyncio.sleep(step.more["ms"] / 1000)
        await self._restart()

    async def _do_backup(self, step: Step) -> None:
        self._server.back_up()

    async def _do_restore(self, step: Step) -> None:
        which = step.more["which"]
        if not self._server.backups or not self._server.would_be_noticed(which):
            return
        await self._server.crash()
        self._oracle.return_to(self._server.put_back(which))
        self._was_restored = True
        self._wire.restart()
        await self._restart()

    async def _do_trim(self, step: Step) -> None:
        database = self._server.running.services.database
        trimmer = Trimmer(database, keep_changes=step.more["keep"], keep_days=0)

        async def trim() -> None:
            while await trimmer.step():
                pass

        self._spawn(trim(), in_server=True)

    async def _do_clock(self, step: Step) -> None:
        self._clock.set_wrong(step.more["ms"])
