"""Pending mutations: made here, not yet confirmed, in the order made.

The view is the base with these replayed over it. One leaves in the very step in which the cursor
reaches its `seq`, so that its effect is never missing and never doubled (I28).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pylon.protocol.messages import OperationResult

_UNBOUND = msgspec.UNSET


class Effect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a mutation does to one row, as far as the client can tell."""

    #: insert, update or delete.
    kind: str
    entity: str
    id: str
    values: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class PendingMutation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mutation with its effects; sent in order, again and again until it is decided."""

    op_id: str
    fn: str
    args: dict[str, Any]
    effects: list[Effect]
    #: Whose it is: never sent as another's. Unset until the first welcome; None: nobody's.
    principal: str | msgspec.UnsetType | None = _UNBOUND
    #: When it was made; informs only.
    at: str
    #: Bytes of its text, which bound a push.
    size: int
    #: The head right after it, once applied.
    seq: int | msgspec.UnsetType = msgspec.UNSET
    #: What the server answered, once applied.
    value: Any = msgspec.UNSET


class Settlement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a mutation ended, for who made it."""

    op_id: str
    value: Any = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Pending:
    """The queue of mutations, and their effects by row."""

    def __init__(self) -> None:
        self._mutations: dict[str, PendingMutation] = {}
        self._effects: dict[str, dict[str, list[Effect]]] = {}
        self._touched: dict[str, dict[str, None]] = {}
        #: Removed since the store was asked for what waits: its answer may still hold them.
        self._removed: set[str] | None = None

    def __len__(self) -> int:
        return len(self._mutations)

    def all(self) -> list[PendingMutation]:
        """Return all of them, in order."""
        return list(self._mutations.values())

    def unsent(self, count: int, size: int) -> list[PendingMutation]:
        """Return those still to be sent, in order: at most `count`, of at most `size` together."""
        found: list[PendingMutation] = []
        total = 0
        for one in self._mutations.values():
            if one.seq is not msgspec.UNSET:
                continue
            total += one.size
            if len(found) == count or (found and total > size):
                break
            found.append(one)
        return found

    def add(self, mutation: PendingMutation) -> bool:
        """Queue one; False where it is known already."""
        if mutation.op_id in self._mutations:
            return False
        self._mutations[mutation.op_id] = mutation
        self._rebuild(mutation)
        return True

    def expect_stored(self) -> None:
        """Note that the store is asked for what waits."""
        self._removed = set()

    def take_stored(self, mutations: Iterable[PendingMutation]) -> None:
        """Queue what the store held, but for what was decided while it was reading."""
        removed, self._removed = self._removed or set(), None
        for one in mutations:
            if one.op_id not in removed:
                self.add(one)

    def bind(self, principal: str | None) -> list[PendingMutation]:
        """Say whose the unbound ones are; return them."""
        bound = [
            msgspec.structs.replace(one, principal=principal)
            for one in self._mutations.values()
            if one.principal is msgspec.UNSET
        ]
        for one in bound:
            self._mutations[one.op_id] = one
        return bound

    def decide(self, result: OperationResult, head: int) -> Settlement | None:
        """Take an answer; None where it decides nothing: sent again, or nothing that waits."""
        found = self._mutations.get(result.op_id)
        if found is None or found.seq is not msgspec.UNSET or result.status == "retry":
            return None
        if result.status == "rejected" or result.error is not None:
            self.remove(result.op_id)
            answer = {"code": "INTERNAL", "message": "rejected without a reason"}
            return Settlement(op_id=result.op_id, error=result.error or answer)
        value = None if result.value is msgspec.UNSET else result.value
        seq = head if result.seq is None else result.seq
        self._mutations[result.op_id] = msgspec.structs.replace(found, seq=seq, value=value)
        return Settlement(op_id=result.op_id, value=value)

    def discard(self, op_id: str) -> bool:
        """Drop one that is not decided yet; False where there is none."""
        found = self._mutations.get(op_id)
        if found is None or found.seq is not msgspec.UNSET:
            return False
        self.remove(op_id)
        return True

    def settle(self, seq: int) -> list[PendingMutation]:
        """Drop those whose effect is in the base now; return them."""
        settled = [
            one
            for one in self._mutations.values()
            if not isinstance(one.seq, msgspec.UnsetType) and one.seq <= seq
        ]
        for one in settled:
            self.remove(one.op_id)
        return settled

    def clear(self) -> None:
        """Drop all of them."""
        for op_id in list(self._mutations):
            self.remove(op_id)

    def remove(self, op_id: str) -> None:
        """Drop one; nothing where it is not known."""
        if self._removed is not None:
            self._removed.add(op_id)
        found = self._mutations.pop(op_id, None)
        if found is not None:
            self._rebuild(found)

    def effects_on(self, entity: str, row_id: str) -> Sequence[Effect]:
        """Return the effects on one row, in order."""
        return self._effects.get(entity, {}).get(row_id, ())

    def ids_touched(self, entity: str) -> Iterable[str]:
        """Return the ids of rows with effects."""
        return self._effects.get(entity, {}).keys()

    def take_touched(self) -> dict[str, dict[str, None]]:
        """Return the ids whose effects changed since the last call, by entity."""
        touched, self._touched = self._touched, {}
        return touched

    def _rebuild(self, changed: PendingMutation) -> None:
        for place in changed.effects:
            effects = [
                effect
                for mutation in self._mutations.values()
                for effect in mutation.effects
                if effect.entity == place.entity and effect.id == place.id
            ]
            rows = self._effects.setdefault(place.entity, {})
            if effects:
                rows[place.id] = effects
            else:
                rows.pop(place.id, None)
            self._touched.setdefault(place.entity, {})[place.id] = None


def effects_of(fn: str, args: Mapping[str, Any]) -> list[Effect]:
    """Return what the built-in mutations do; nothing for a function of the app."""
    entity, row_id = args.get("entity"), args.get("id")
    if not isinstance(entity, str) or not isinstance(row_id, str):
        return []
    match fn:
        case "pylon.insert" | "pylon.update":
            kind = fn.removeprefix("pylon.")
            return [Effect(kind=kind, entity=entity, id=row_id, values=args.get("values") or {})]
        case "pylon.delete":
            return [Effect(kind="delete", entity=entity, id=row_id)]
        case _:
            return []


def replay(base: Mapping[str, Any] | None, effects: Sequence[Effect]) -> Mapping[str, Any] | None:
    """Replay effects over a row. An insert never covers a row: the server's is newer."""
    row = base
    for effect in effects:
        values = {} if isinstance(effect.values, msgspec.UnsetType) else effect.values
        match effect.kind:
            case "insert":
                row = row if row is not None else {**values, "id": effect.id, "_seq": 0}
            case "update":
                if row is not None:
                    row = {**row, **values, "id": row["id"], "_seq": row["_seq"]}
            case "delete":
                row = None
            case _:
                raise AssertionError(f"an effect is insert, update or delete, not {effect.kind}")
    return row
