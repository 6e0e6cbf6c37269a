"""Followed functions: what each follower is told, and what he shows once the faults are over.

The truth is a run of the function as its caller, over the state of the server. A value is held to
it as it leaves the server, where nothing was committed since: so no value that was computed for one
caller reaches another whose result differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pylon import jsonvalue
from pylon.client.subscription import read_cursor
from pylon.identity import Identity
from pylon.server.functions.live_run import LiveOutcome, LiveRun, LiveRunner
from pylon.testing.simulation.findings import Finding
from pylon.testing.simulation.safety import Callers

if TYPE_CHECKING:
    from pylon.testing.simulation.device import Device
    from pylon.testing.simulation.server import SimulatedServer
    from pylon.testing.simulation.virtual_time import VirtualLoop

#: How long it may take until a runtime knows who somebody has become.
_GRACE_SECONDS = 1.0


class FollowWatch:
    """Every value of a followed function to a client."""

    def __init__(
        self, server: SimulatedServer, callers: Callers, loop: VirtualLoop,
        device: Callable[[str], Device | None],
    ) -> None:  # fmt: skip
        self._server = server
        self._callers = callers
        self._loop = loop
        self._device = device
        self.findings: list[Finding] = []
        #: Values that were held to the truth.
        self.checks = 0

    def told(self, client: str, email: str | None, message: dict[str, Any]) -> None:
        """Look at a value or an error as the server sends it."""
        name, _, _ = client.partition("#")
        device, runtime = self._device(name), self._server.runtime
        call = None if device is None else device.calls.get(
            (client.partition("~")[0], message["subscription"])
        )  # fmt: skip
        cursor = read_cursor(message["at"]) if "at" in message else None
        if call is None or runtime is None or cursor is None:
            return
        generation = runtime.services.definitions.current.generation
        # Not at once: the server is in the midst of something.
        self._loop.call_soon(self._compare, email, call, message["value"], cursor.seq, generation)

    def _compare(
        self, email: str | None, call: tuple[str, dict[str, Any]], value: Any, seq: int,
        generation: int,
    ) -> None:  # fmt: skip
        runtime = self._server.runtime
        if runtime is None or runtime.services.database.head != seq:
            return  # something was committed since: nobody knows what it would have been
        if runtime.services.definitions.current.generation != generation:
            return
        runs = [self.run(one, *call) for one in self._callers.lately(email, _GRACE_SECONDS)]
        if not runs or any(one is None or one.reads.is_timed for one in runs):
            return
        self.checks += 1
        should = [_shown(one.outcome) for one in runs if one is not None]
        if not any(jsonvalue.canonical_json(one) == jsonvalue.canonical_json(value)
                   for one in should):  # fmt: skip
            self.findings.append(
                Finding(
                    "a followed value is what its caller gets",
                    f"{email} was told {value} of {call}, and gets {should}",
                )
            )

    def run(self, identity: Identity, fn: str, args: dict[str, Any]) -> LiveRun | None:
        """Run a function as somebody; None while the storage can't be read."""
        services = self._server.running.services
        runner = LiveRunner(
            services.executor.app_code, services.database, services.definitions, services.clock
        )
        return runner.run(identity, fn, args)

    def what_is_missing(self, device: Device, identity: Identity) -> str | None:
        """Say which followed function a device shows wrongly; None where there is none."""
        machine = device.machine
        assert machine is not None
        for slot, (fn, args) in device.followed.items():
            shown = machine.followed(device.subscription_id(slot))
            if shown is None:
                return f"{fn} {args} was not told"
            made = self.run(identity, fn, args)
            if made is None or made.reads.is_timed:
                continue
            should = _shown(made.outcome)
            if jsonvalue.canonical_json(shown[0]) != jsonvalue.canonical_json(should):
                return f"{fn} {args} is {shown[0]}, should be {should}"
        return None


def _shown(outcome: LiveOutcome) -> Any:
    """Return a value, or the code of an error as somebody shows it."""
    if outcome.error is not None:
        return {"error": outcome.error["code"]}
    return jsonvalue.parse((outcome.value or "null").encode())
