"""What of an app's own code a migration breaks, in the app that waits for it.

The source says what code names; read sets of followed functions say what else they looked at. What
does not live here: connected clients (`sync.next_app`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

from pylon.app.affected import Affected, Verdict, affected
from pylon.app.call_changes import call_changes
from pylon.app.definition import AppDefinition
from pylon.app.handlers import pieces_of
from pylon.policy import ir
from pylon.policy.slots import walk
from pylon.schema.diff import SchemaStep, StepKind
from pylon.schema.model import Schema
from pylon.server.functions.readset import Looked, ReadSet, Selected

_SHOWN_MAX: Final = 200
#: Steps by which what is read is not there any more, or another.
_TAKING: Final = (
    StepKind.DROP_TABLE, StepKind.DROP_FIELD, StepKind.RENAME_FIELD, StepKind.CHANGE_FIELD,
)  # fmt: skip

#: By entity, the fields that a function asked for rows by.
Seen = Mapping[str, Set[str]]


def code_under(
    next_app: AppDefinition, old: Schema, steps: Sequence[SchemaStep],
    *, files: Iterable[Path] = (), seen: Mapping[str, Seen] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what steps do to the code of the app that is to come, as JSON.

    Args:
        next_app: the app.
        old: the schema of the database.
        steps: what is to be done to it.
        files: data migrations that wait.
        seen: by function, what its runs were seen to read.
    """
    known = {*old.entities, *next_app.schema.entities}
    pieces = pieces_of(next_app, known, files) if steps else []
    found = affected(steps, pieces, next_app.schema)
    named = {one.name for one in found}
    for name, reads in (seen or {}).items():
        if name in next_app.functions and name not in named:
            found += _seen(name, reads, steps)
    return {
        "code": [one.to_json() for one in found[:_SHOWN_MAX]],
        "unread": [one.name for one in pieces if one.is_unread],
    }


def _seen(name: str, reads: Seen, steps: Sequence[SchemaStep]) -> list[Affected]:
    """Return what a function was seen to read of what steps take; its source names none of it."""
    found = []
    for one in steps:
        if one.kind not in _TAKING or one.entity not in reads:
            continue
        verdict, what = Verdict.CHECK, f"was seen to read {one.entity}"
        if one.old is not None and one.old.name in reads[one.entity]:
            verdict = Verdict.MAY_BREAK
            what = f"was seen to ask for {one.entity} by {one.old.name}"
        found.append(Affected(name, "query", verdict, what, one.description, None))
    return found


def fields_asked(reads: ReadSet) -> dict[str, set[str]]:
    """Return, by entity that a run looked at, the fields that it asked for rows by."""
    found: dict[str, set[str]] = {}
    for name, one in reads.entities.items():
        fields = found.setdefault(name, set())
        for test in one.tests.values():
            if isinstance(test, Selected):
                fields.update(pin for pin, _ in test.pins)
                fields.update(term.field for term in test.order)
                condition = None if test.filter is None else test.filter.condition
                nodes = () if condition is None else walk(condition)
                fields.update(node.name for node in nodes if isinstance(node, ir.Column))
            elif isinstance(test, Looked):
                fields.update(each.field for each in test.node.filters)
    return found


def calls_under(current: AppDefinition, next_app: AppDefinition) -> list[dict[str, Any]]:
    """Return the functions that callers must call otherwise, as JSON."""
    found = call_changes(current.functions, next_app.functions)
    return [{"name": one.name, "changes": list(one.changes)} for one in found[:_SHOWN_MAX]]
