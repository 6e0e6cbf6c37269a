"""Going through a stretch of the change log again: what `pylon log save` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pylon.client.connection import ServerRefused
from pylon.identity import SYSTEM
from pylon.protocol.messages import Operation
from pylon.server.functions.outcome import Status

if TYPE_CHECKING:
    from pylon.testing.harness import Running


async def replay(
    rt: Running, before: Sequence[Sequence[Any]], changes: Sequence[Sequence[Sequence[Any]]]
) -> None:
    """Make rows, then go through transactions, as the system; see `Running.replay`."""
    for entity, row_id, values in before:
        await rt.system_insert(entity, id=row_id, **values)
    services = rt.runtime.services
    for transaction in changes:
        batch = [
            Operation(op_id=services.ids.uuid7(), fn=f"pylon.{kind}", args=_args(*one))
            for kind, *one in transaction
        ]
        outcomes = await services.executor.push(SYSTEM, batch, atomic=True, cause="test")
        for outcome in outcomes:
            if outcome.status is not Status.APPLIED:
                raise ServerRefused(outcome.error or {})


def _args(entity: str, row_id: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    args: dict[str, Any] = {"entity": entity, "id": row_id}
    return args if values is None else {**args, "values": dict(values)}
