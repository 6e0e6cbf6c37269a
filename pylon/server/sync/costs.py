"""What subscriptions cost, by what they ask for: writes of their entity, and what is told.

Counted by entity and filters, over all callers; bounded. Pure. What followed functions cost is
counted where they run.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol

from pylon import limits_keeping
from pylon.server.storage.change_log import LogRecord
from pylon.server.sync.frames import Told

#: Entity and filters, as one line.
Shape = tuple[str, tuple[str, ...]]


class Follower(Protocol):
    """A view, as far as it is counted here."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Return what it asks of each entity."""
        ...


class _Cost:
    __slots__ = ("bytes", "runs", "told", "writes_before")

    def __init__(self, writes_before: int) -> None:
        self.told = self.bytes = self.runs = 0
        self.writes_before = writes_before


class Costs:
    """Counts of one runtime since it started."""

    def __init__(self) -> None:
        self._writes: Counter[str] = Counter()
        self._costs: OrderedDict[Shape, _Cost] = OrderedDict()

    def __len__(self) -> int:
        return len(self._costs)

    def begin(self, view: Follower) -> None:
        """Count for a view from now on."""
        for shape in view.shapes.values():
            self._of(shape)

    def note(
        self, records: Sequence[LogRecord], told: Mapping[Any, Sequence[Told]],
        members: Mapping[Any, Any],
    ) -> None:  # fmt: skip
        """Count what a pass told whom.

        Args:
            records: what was asked about.
            told: changes by view.
            members: the connections of each view.
        """
        entities = {one.seq: one.entity for one in records}
        for entity in entities.values():
            self._writes[entity] += 1
        for view, changes in told.items():
            count, shapes = len(members[view]), view.shapes
            for seq, _, text in changes:
                shape = shapes.get(entities.get(seq, ""))
                if shape is not None:
                    cost = self._of(shape)
                    cost.told += count
                    cost.bytes += count * len(text)

    def note_run(self, entity: str, line: str) -> None:
        """Count that a window was read anew."""
        self._of((entity, (line,))).runs += 1

    def _of(self, shape: Shape) -> _Cost:
        cost = self._costs.get(shape)
        if cost is None:
            while len(self._costs) >= limits_keeping.SUBSCRIPTION_COSTS_MAX:
                self._costs.popitem(last=False)
            cost = self._costs[shape] = _Cost(self._writes[shape[0]])
        return cost

    def most(self, limit: int, members: Mapping[Any, Sized]) -> list[dict[str, Any]]:
        """Return those that cost most, by bytes told.

        Args:
            limit: how many.
            members: the connections of each view that there is.
        """
        now: Counter[Shape] = Counter()
        for view, those in members.items():
            for shape in view.shapes.values():
                now[shape] += len(those)
        for shape in now:
            self._of(shape)
        found = sorted(self._costs.items(), key=lambda one: -one[1].bytes)[:limit]
        return [
            {
                "entity": shape[0], "filter": " or ".join(one for one in shape[1] if one),
                "connections": now[shape],
                # A cost that was forgotten and came again counts from then.
                "evaluations": max(0, self._writes[shape[0]] - cost.writes_before) + cost.runs,
                "pushes": cost.told, "bytes": cost.bytes, "reruns": cost.runs,
            }
            for shape, cost in found
        ]  # fmt: skip
