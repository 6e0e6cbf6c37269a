"""What must come to pass once the faults are over: all agree, nothing waits, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from pylon.client.subscription import read_cursor
from pylon.testing.simulation.device import Device
from pylon.testing.simulation.findings import Finding
from pylon.testing.simulation.following import FollowWatch
from pylon.testing.simulation.oracle import Oracle, matches
from pylon.testing.simulation.safety import Callers, compare

#: Virtual seconds from the end of the faults within which all have converged.
CONVERGE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.5
#: Given up by the app: what was sent already may still happen.
_DISCARDED: Final = "ABORTED"


async def converge(
    devices: Iterable[Device], oracle: Oracle, callers: Callers, epoch: Callable[[], str],
    clock: Callable[[], float], check: Callable[[], None], following: FollowWatch,
) -> None:  # fmt: skip
    """Wait until all devices are where they should be; raises Finding where one never is.

    Args:
        devices: all of them, running.
        oracle: knows where they should be.
        callers: who they are.
        epoch: the lineage of now.
        clock: virtual seconds.
        check: raises what was found meanwhile.
        following: knows what followed functions come to.
    """
    end = clock() + CONVERGE_SECONDS
    waiting = list(devices)
    why = ""
    while waiting:
        if clock() > end:
            raise Finding(f"all converge within {CONVERGE_SECONDS:g} s of fair weather", why)
        await asyncio.sleep(_LOOK_SECONDS)
        check()
        left = []
        for device in waiting:
            missing = what_is_missing(device, oracle, callers, epoch(), following)
            if missing is not None:
                left.append(device)
                why = f"{device.name} ({device.email}): {missing}"
        # Once one is not there yet, all are looked at again: a late write moves everybody.
        waiting = list(devices) if left else []


def what_is_missing(
    device: Device, oracle: Oracle, callers: Callers, epoch: str, following: FollowWatch
) -> str | None:
    """Say why a device is not where it should be; None where it is."""
    machine = device.machine
    if machine is None:
        return "it is not running"
    seen = machine.seen()
    if seen.state != "live":
        return f"it is {seen.state}, at {seen.cursor}"
    if seen.pending:
        return f"{seen.pending} mutations wait"
    cursor = read_cursor(seen.cursor)
    if cursor is None or cursor.epoch != epoch or cursor.seq < oracle.head:
        return f"it is at {seen.cursor}, the head is {epoch}:{oracle.head}"
    found = callers.lately(device.email, 0.0)
    if not found:
        return "its user is disabled"
    identity, moments = found[0], [oracle.moment()]
    for slot, definition in device.open.items():
        if not seen.ready.get(device.subscription_id(slot)):
            return f"{definition.entity} {definition.where} is not complete"
        has = machine.view(definition.entity)
        if definition.limit is None:
            difference = compare(oracle, identity, definition, has, oracle.head, moments)
        else:
            difference = _window_difference(oracle, identity, definition, has)
        if difference is not None:
            return difference
    return following.what_is_missing(device, identity)


def _window_difference(
    oracle: Oracle, identity: Any, definition: Any, has: dict[str, dict[str, Any]]
) -> str | None:
    """Compare a window: the first rows by id, which is the order of all windows here."""
    entity = definition.entity
    should = oracle.visible(identity, entity, definition.where)
    wanted = sorted(should)[: definition.limit]
    mine = sorted(row_id for row_id, row in has.items() if matches(row, definition.where))
    shown = mine[: definition.limit]
    if shown != wanted:
        return f"window of {entity} {definition.where} is {shown}, should be {wanted}"
    for row_id in wanted:
        if has[row_id] != should[row_id]:
            return f"{entity} {row_id} is {has[row_id]}, should be {should[row_id]}"
    return None


def check_operations(devices: Iterable[Device], oracle: Oracle, *, may_be_lost: bool) -> None:
    """Raise Finding where a write was lost or done twice.

    Args:
        devices: who made them.
        oracle: knows which operations the log holds.
        may_be_lost: an older copy was put back: what it does not have is gone.
    """
    for device in devices:
        for one in device.operations.values():
            done = oracle.applied.get(one.op_id, set())
            if len(done) > 1:
                raise Finding("a write is done once", f"{one.fn} {one.op_id} in {sorted(done)}")
            if may_be_lost:
                continue
            is_built_in = one.fn in ("pylon.insert", "pylon.delete")
            if one.state == "applied" and is_built_in and not done:
                raise Finding("nothing acknowledged is lost", f"{device.name}: {one}")
            if one.state == "rejected" and one.code != _DISCARDED and done:
                raise Finding("a refused write changes nothing", f"{device.name}: {one}")
            if one.state == "waiting" and one.is_stored and one.email == device.email:
                raise Finding("what is stored is sent in the end", f"{device.name}: {one}")
