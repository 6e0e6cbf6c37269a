"""A stretch of the change log as a pytest file, and how such a file goes through it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon.client.connection import ServerRefused
from pylon.identity import SYSTEM
from pylon.printable import clean
from pylon.protocol.messages import Operation
from pylon.server.functions.outcome import Status

if TYPE_CHECKING:
    from pylon.testing.harness import Running

_FILE = '''"""Changes {first} to {last} of {app}, saved by `pylon log save {first} {last}`."""

from pylon.testing import running

# Rows that were there before: entity, id, values. Those that others refer to come first.
BEFORE = [
{before}
]
# One list for each transaction: kind, entity, id, values.
CHANGES = [
{changes}
]
# What became of each row: entity, id, values; None: it is gone.
AFTER = [
{after}
]


async def test_changes_{first}_to_{last}():
    async with running({app!r}) as rt:
        await rt.replay(BEFORE, CHANGES)
        for entity, row_id, values in AFTER:
            assert rt.stored(entity, row_id) == values, f"{{entity}}/{{row_id}}"
'''


def pytest_file(found: Mapping[str, Any], project: Path) -> str:
    """Return the text of a pytest file.

    Args:
        found: what GET /api/admin/log-range answers.
        project: the folder of the app that the test runs.
    """
    changes = []
    for _, together in groupby(found["changes"], key=lambda one: one["tx"]):
        records = list(together)
        first = records[0]
        who = first["user"] or "system"
        changes.append(f"    # {first['seq']}: {clean(str(who))}, {clean(str(first['cause']))}")
        changes.append("    [")
        changes += [
            f"        {(one['kind'], one['entity'], one['id'], one['values'])!r},"
            for one in records
        ]
        changes.append("    ],")
    return _FILE.format(
        first=found["from"], last=found["to"], app=project.name, changes="\n".join(changes),
        before="\n".join(f"    {_row(one)!r}," for one in found["before"]),
        after="\n".join(f"    {_row(one)!r}," for one in found["after"]),
    )  # fmt: skip


def _row(one: Mapping[str, Any]) -> tuple[str, str, Any]:
    return one["entity"], one["id"], one["values"]


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
