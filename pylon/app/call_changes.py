"""What the next version of an app changes for those who call its functions.

Pure. What does not live here: who calls them (`server.sync.next_app`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pylon.app.functions import ArgumentSpec, Function


@dataclass(frozen=True, slots=True)
class CallChange:
    """One function, and what of it changes for its callers."""

    name: str
    changes: tuple[str, ...]


def call_changes(old: Mapping[str, Function], new: Mapping[str, Function]) -> list[CallChange]:
    """Return the functions that callers must call otherwise, or get something else from.

    One that is new, or takes one more argument that has a default, changes nothing for them.
    """
    found = [
        CallChange(name, tuple(_changes(one, new.get(name))))
        for name, one in old.items()
        if not one.is_internal
    ]
    return [one for one in found if one.changes]


def _changes(old: Function, new: Function | None) -> Iterator[str]:
    if new is None:
        yield "is gone"
        return
    if new.is_internal:
        yield "can't be called from outside any more"
        return
    if old.kind is not new.kind:
        yield f"is a {new.kind.value} (was a {old.kind.value})"
    before = {one.name: one for one in old.arguments.arguments}
    after = {one.name: one for one in new.arguments.arguments}
    yield from (f"takes no {name} any more" for name in before if name not in after)
    for name, one in after.items():
        yield from _argument(before.get(name), one)
    was, now = old.arguments.returns.typescript, new.arguments.returns.typescript
    if was != now:
        yield f"returns {now} (was {was})"


def _argument(old: ArgumentSpec | None, new: ArgumentSpec) -> Iterator[str]:
    was = None if old is None else old.type.typescript
    now = new.type.typescript
    if new.is_required and (old is None or not old.is_required):
        yield f"demands {new.name}: {now}"
    if was is not None and was != now:
        yield f"{new.name} is {now} (was {was})"
