"""What the log moves of what an `include` leads to, told as refreshes at the end of a page.

A row that leads to others comes, goes or names another: what it led to may enter or leave the view
though nothing of it changed. Which values may have moved is found from the page's records, asked of
the state now as everything is; all rows that have one are told as they are, and what a replica has
beyond that goes. Where that can't be said value by value, all that is led to is told (SPEC.md).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pylon import limits
from pylon.policy.slices import Where, is_told
from pylon.schema.model import Row, Schema, Value
from pylon.server.storage import sync_select
from pylon.server.storage.change_log import LogRecord, read_after
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.reach import Reach, Root
from pylon.server.sync.refreshing import Paging, RefreshReader, SliceEntry, SliceTooLarge
from pylon.server.sync.view import View

#: In `Paging`: the end of the page whose refreshes are under way.
BOUND: Final = "bound"
#: In `Paging`: all pages of one were sent.
_SENT: Final = 2**62
#: Values by hop: those that may have moved, or None for all.
Moved = dict[Hashable, set[Value] | None]
#: What is told: entities, each with values that its rows have; without them, all that is in view.
Plan = list[tuple[str, Where]]


@dataclass(frozen=True, slots=True)
class Told:
    """The refreshes of a page; with `paging` more of them follow, and nothing else is told yet."""

    texts: list[bytes] = field(default_factory=list)
    paging: Paging | None = None


@dataclass(frozen=True, slots=True)
class IncludeReader:
    """Tells what moved of what a view's includes lead to, inside one read transaction."""

    refreshes: RefreshReader
    #: Entities of which everything is told, whatever the log says.
    anew: frozenset[str] = frozenset()

    def plan(self, after: int, through: int, head: int, paging: Paging | None) -> Plan:
        """Return what a page of the log moves.

        Args:
            after: the page begins behind it.
            through: through here the page looks at the log.
            head: the head of this moment.
            paging: large ones come in pages, and so far these were sent; None: whole.
        """
        return self._plan(after, through, head, is_all=paging is not None and BOUND in paging)

    def read(self, plan: Plan, seq: int, paging: Paging | None) -> Told:
        """Return the refreshes of a plan; `seq` is their number, the end of the page.

        Raises SliceTooLarge.
        """
        told = self._pages(plan, seq, paging)
        if told.paging is not None and paging is not None and BOUND not in paging:
            # Pages to come are asked of later states: what moved is not told value by value then.
            told = self._pages(self._plan(0, 0, 0, is_all=True), seq, paging)
        return told

    def _pages(self, plan: Plan, seq: int, paging: Paging | None) -> Told:
        texts: list[bytes] = []
        rows = size = 0
        progress = dict(paging or {})
        for name, where in plan:
            entry = SliceEntry(seq, 0, where, False, self._view.entities[name])  # noqa: FBT003
            key = (name, where)
            visible = self.refreshes.visible(entry)
            last: int | None = progress.get(key, 0)
            while last is not None and last != _SENT:
                start = last
                text, count, last = self.refreshes.page(entry, visible, start)
                texts.append(text)
                rows, size = rows + count, size + len(text)
                progress[key] = _SENT if last is None else last
                if paging is not None and (last is not None or size > limits.FRAME_BYTES_MAX):
                    if not start:
                        self.refreshes.demand_bounded(entry, visible)
                    return Told(texts, {**progress, BOUND: seq})
                if rows > limits.REFRESH_ROWS_MAX or size > limits.REFRESH_BYTES_MAX:
                    raise SliceTooLarge
        texts += [self._nothing(name, seq) for name in sorted(self.anew - self._followed)]
        return Told(texts)

    @property
    def _view(self) -> View:
        return self.refreshes.view

    @property
    def _reader(self) -> ReadConnection:
        return self.refreshes.connection

    @property
    def _followed(self) -> frozenset[str]:
        return frozenset(self._view.entities)

    @staticmethod
    def _nothing(name: str, seq: int) -> bytes:
        """Return the refresh of an entity that nothing leads to any more."""
        return b'{"seq":%d,"kind":"refresh","entity":"%b","where":{},"rows":[],"done":true}' % (
            seq, name.encode()
        )  # fmt: skip

    # --- what is told

    def _plan(self, after: int, through: int, head: int, *, is_all: bool) -> Plan:
        moved = self._moved(after, through, head, is_all=is_all)
        found: dict[str, dict[Where, None]] = {name: {(): None} for name in sorted(self.anew)}
        for hop in self._view.reaches:
            values = moved.get(hop.key, set())
            wheres = found.setdefault(hop.entity.name, {})
            if values is None:
                wheres[()] = None
            else:
                wheres.update({((hop.target, one),): None for one in sorted(values, key=str)})
        return [
            (name, where)
            for name, wheres in found.items()
            if name in self._view.entities
            for where in (wheres if () not in wheres else ((),))
        ]

    def _moved(self, after: int, through: int, head: int, *, is_all: bool) -> Moved:
        """Return what may have moved by hop: of all of them nothing where nothing leads anywhere.

        The values can be told only from all records up to the state that is asked, and only where
        no policy changed its mind meanwhile: else an image is judged otherwise than it was then,
        and refreshes of the log would stand beside these.
        """
        records = self._records(after, through)
        if not records and not is_all:
            return {}
        if is_all or through < head or any(one.slice is not None for one in records):
            return {hop.key: None for hop in self._view.reaches}
        chains: dict[str, dict[str, list[LogRecord]]] = {}
        for record in records:
            chains.setdefault(record.entity, {}).setdefault(record.row_id, []).append(record)
        moved: Moved = {}
        for hop in self._view.reaches:
            rows = chains.get(hop.parent.entity.name, {})
            moved[hop.key] = self._values(hop, rows.values(), moved)
        return moved

    def _records(self, after: int, through: int) -> list[LogRecord]:
        """Return the records of a page that may move what is led to."""
        entities, parents = self._view.entities, self._view.parents
        schema = Schema(entities={name: entities[name].entity for name in parents})
        return [
            one
            for one in read_after(self._reader.raw, after, through - after, schema)
            if one.seq <= through
            and (
                one.entity in parents
                if one.slice is None
                else one.entity in self._view.follows
                and entities[one.entity].is_moved_by(one.slice)
            )
        ]

    # --- which values

    def _values(
        self,
        hop: Reach,
        rows: Iterable[list[LogRecord]],
        moved: Mapping[Hashable, set[Value] | None],
    ) -> set[Value] | None:
        """Return the values by which a hop may lead elsewhere than before; None for all."""
        parent = hop.parent
        above = moved.get(parent.key, set()) if isinstance(parent, Reach) else set()
        if above is None or not is_told(hop.entity, hop.target):
            return None
        found: set[Value] = set()
        for records in rows:
            images = [*(one.before for one in records), records[-1].after]
            held = [one for one in images if one is not None and self._leads(parent, one, above)]
            if not held:
                continue
            if isinstance(parent, Root) and parent.limit is not None:
                return None  # a row of a window moves others into it or out
            values = {one[hop.source] for one in held}
            if len(held) < len(images) or len(values) > 1 or self._is_above(parent, held, above):
                found |= values
        if above and isinstance(parent, Reach):
            found |= self._sources(hop, parent, above)
        found.discard(None)
        return found if len(found) <= limits.INCLUDE_VALUES_MAX else None

    def _leads(self, parent: Root | Reach, image: Row, above: set[Value]) -> bool:
        """Tell whether an image stands in view, or may have, where its own parents moved."""
        reader, now = self._reader, self.refreshes.now
        seen = self._view.entities[parent.entity.name]
        if isinstance(parent, Root):
            return parent.filter.matches(image, now) and seen.allows(image, now, reader)
        if image[parent.target] not in above and not parent.holds(
            reader, seen.identity, image, now
        ):
            return False
        return seen.allows(image, now, reader)

    @staticmethod
    def _is_above(parent: Root | Reach, images: list[Row], above: set[Value]) -> bool:
        return isinstance(parent, Reach) and any(one[parent.target] in above for one in images)

    def _sources(self, hop: Reach, parent: Reach, above: set[Value]) -> set[Value]:
        """Return what the rows lead to that their own parents may have moved."""
        seen = self._view.entities[parent.entity.name]
        policy, _ = seen.clauses(self.refreshes.now)
        return sync_select.values_led_to(
            self._reader.raw, parent.entity, hop.source, (parent.target, above), policy,
            limits.INCLUDE_VALUES_MAX + 1,
        )  # fmt: skip
