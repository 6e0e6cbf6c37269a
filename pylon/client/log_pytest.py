"""A stretch of the change log as the text of a pytest file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from pylon.printable import clean

_FILE = '''"""Changes {first} to {last} of {name}, saved by `pylon log save {first} {last}`."""

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


def pytest_file(found: Mapping[str, Any], project: str) -> str:
    """Return the text of a pytest file.

    Args:
        found: what GET /api/admin/log-range answers.
        project: the name of the folder whose app the test runs.
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
        first=found["from"], last=found["to"], app=project, name=_plain(project),
        changes="\n".join(changes),
        before="\n".join(f"    {_row(one)!r}," for one in found["before"]),
        after="\n".join(f"    {_row(one)!r}," for one in found["after"]),
    )  # fmt: skip


def _plain(project: str) -> str:
    """Return a folder's name as it can stand in the text of a file of Python."""
    return clean(project).replace("\\", "_").replace('"', "_")


def _row(one: Mapping[str, Any]) -> tuple[str, str, Any]:
    return one["entity"], one["id"], one["values"]
