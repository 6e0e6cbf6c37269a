"""Who follows what: from a change to the views and windows that it concerns, and no others.

Pure. Filters stand by one of their equality terms, so that a change meets those that could match
and not all there are; who may see the row is asked once for all classes of callers
(`policy.audience`). What does not live here: telling them (`pump`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from pylon.policy import ir
from pylon.policy.audience import ALL, NONE, Classes, Facts, Moment, Some
from pylon.policy.compiled import CompiledFilter, CompiledPolicy
from pylon.policy.fields import NOTHING, FieldFacts, FieldPolicies
from pylon.policy.slices import Slice
from pylon.policy.timing import has_gone_by
from pylon.schema.model import Row
from pylon.schema.wire import masked_text
from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.equality import equality_term
from pylon.server.sync.followers import Followers
from pylon.server.sync.frames import Told
from pylon.server.sync.projection import text_of
from pylon.server.sync.view import EntityView, View
from pylon.server.sync.windows import SharedWindow

_log = logging.getLogger("pylon.sync")
#: Callers by class; None are those for whom policies are lifted.
ByClass = dict[Facts | None, dict[Any, None]]


@dataclass(slots=True, eq=False)
class Wanted:
    """One filter that somebody follows, and who does."""

    key: str
    filter: CompiledFilter
    term: tuple[str, tuple[Any, ...]] | None
    #: It selects every row.
    is_everything: bool
    views: ByClass = field(default_factory=dict)
    windows: ByClass = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Image:
    """What an image of a row is to those who follow its entity."""

    row: Row
    wanted: list[Wanted]
    audience: Some

    def views(self) -> dict[View, None]:
        """Return the views that it is in."""
        found: dict[View, None] = {}
        for one in self.wanted:
            _collect(one.views, self.audience, found)
        return found

    def windows(self) -> dict[SharedWindow, None]:
        """Return the windows that it is in, or could be."""
        found: dict[SharedWindow, None] = {}
        for one in self.wanted:
            if one.windows:
                _collect(one.windows, self.audience, found)
        return found


def _collect(by_class: ByClass, audience: Some, found: dict[Any, None]) -> None:
    if not audience.is_all_but and len(audience.named) < len(by_class):
        for facts in (None, *audience.named):
            found.update(by_class.get(facts, ()))
        return
    for key, those in by_class.items():
        if key is None or key in audience:
            found.update(those)


class EntityIndex:
    """Who follows one entity under one policy."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self.policy = policy
        self.classes = Classes()
        self._wanted: dict[str, Wanted] = {}
        self._by_field: dict[str, dict[Any, dict[Wanted, None]]] = {}
        self._rest: dict[Wanted, None] = {}

    @property
    def size(self) -> int:
        """Return how many filters are followed; 0 means that nothing at all is kept."""
        assert bool(self._wanted) == bool(self._rest or self._by_field)
        return len(self._wanted) + len(self.classes)

    # --- coming and going

    def add_view(self, view: View, seen: EntityView) -> None:
        """Take a view in."""
        for key, one in seen.filters.items():
            self._follow(key, one).views.setdefault(self._enter(seen), {})[view] = None

    def remove_view(self, view: View, seen: EntityView) -> None:
        """Take a view out."""
        for key in seen.filters:
            self._leave(self._wanted[key], self._wanted[key].views, _class_of(seen), view)

    def add_window(self, window: SharedWindow) -> None:
        """Take a window in."""
        wanted = self._follow(window.filter_key, window.filter)
        wanted.windows.setdefault(self._enter(window.seen), {})[window] = None

    def remove_window(self, window: SharedWindow) -> None:
        """Take a window out."""
        wanted = self._wanted[window.filter_key]
        self._leave(wanted, wanted.windows, _class_of(window.seen), window)

    def _enter(self, seen: EntityView) -> Facts | None:
        facts = _class_of(seen)
        if facts is not None:
            self.classes.add(facts)
        return facts

    def _leave(self, wanted: Wanted, table: ByClass, facts: Facts | None, one: Any) -> None:
        del table[facts][one]
        if not table[facts]:
            del table[facts]
        if facts is not None:
            self.classes.remove(facts)
        if not wanted.views and not wanted.windows:
            self._forget(wanted)

    def _follow(self, key: str, one: CompiledFilter) -> Wanted:
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = Wanted(
                key, one, equality_term(one), one.condition == ir.Constant(value=True)
            )
            if wanted.term is None:
                self._rest[wanted] = None
            else:
                name, values = wanted.term
                by_value = self._by_field.setdefault(name, {})
                for value in values:
                    by_value.setdefault(value, {})[wanted] = None
        return wanted

    def _forget(self, wanted: Wanted) -> None:
        del self._wanted[wanted.key]
        if wanted.term is None:
            del self._rest[wanted]
            return
        name, values = wanted.term
        by_value = self._by_field[name]
        for value in dict.fromkeys(values):
            del by_value[value][wanted]
            if not by_value[value]:
                del by_value[value]
        if not by_value:
            del self._by_field[name]

    # --- asking

    def matching(self, row: Row, now: str) -> list[Wanted]:
        """Return the filters that select a row."""
        candidates = list(self._rest)
        for name, by_value in self._by_field.items():
            candidates += by_value.get(row.get(name), ())
        return [one for one in candidates if one.is_everything or one.filter.matches(row, now)]

    def _image(self, row: Row | None, moment: Moment) -> _Image | None:
        """Return what an image is to whom; None where nobody asks for it."""
        if row is None:
            return None
        wanted = self.matching(row, moment.now)
        if not wanted:
            return None
        return _Image(row, wanted, self._audience(row, moment))

    def _audience(self, row: Row, moment: Moment) -> Some:
        if not len(self.classes):
            return ALL  # only those for whom policies are lifted
        try:
            return self.policy.audience.of(moment, row)
        except Exception:  # noqa: BLE001 -- whatever goes wrong denies
            _log.exception("policy.failed %s denied, row %s", self.policy.where, row.get("id"))
            return NONE

    def tell(
        self, record: LogRecord, moment: Moment, told: dict[View, list[Told]],
        moved: dict[SharedWindow, None], *, is_newest: bool,
    ) -> None:  # fmt: skip
        """Note what each view is told of a record, and which windows it can have moved.

        Args:
            record: the record with its images.
            moment: what is asked in this pass, of the state now.
            told: what each view is told, added to.
            moved: windows to run again, added to.
            is_newest: no later record of the same row exists.
        """
        before = self._image(record.before, moment)
        after = self._image(record.after, moment)
        for image in (before, after):
            for window in image.windows() if image is not None else ():
                if window.can_be_moved_by(image.row):  # type: ignore[union-attr]
                    moved[window] = None
        was_in = {} if before is None else before.views()
        is_in = after.views() if after is not None and is_newest else {}
        if not was_in and not is_in:
            return
        texts: dict[tuple[str, str | None, frozenset[str]], Told] = {}

        def note(
            view: View, kind: str, cause: str | None = None, hidden: frozenset[str] = NOTHING
        ) -> None:
            one = texts.get((kind, cause, hidden))
            if one is None:
                wire = None if kind == "delete" else _wire_without(record, hidden, view)
                text = text_of(record, kind, wire=wire, cause=cause).encode()
                one = texts[kind, cause, hidden] = (record.seq, record.tx, text)
            told.setdefault(view, []).append(one)

        hidden_from = _Hidden(record, moment)
        for view in is_in:
            hidden = hidden_from.view(view.entities[record.entity])
            note(view, "update" if view in was_in else "insert", hidden=hidden)
        allowed = NONE
        if record.after is not None and is_newest and len(was_in) > len(is_in.keys() & was_in):
            allowed = after.audience if after is not None else self._audience(record.after, moment)
        for view in was_in:
            if view in is_in:
                continue
            if record.after is None or not is_newest:
                note(view, "delete")
            else:
                facts = _class_of(view.entities[record.entity])
                is_allowed = facts is None or facts in allowed
                note(view, "delete", "filtered" if is_allowed else "hidden")

    def move(
        self, one: Slice, refreshed: dict[View, None], moved: dict[SharedWindow, None]
    ) -> None:
        """Note the views that a slice concerns, and the windows to run again."""
        classes = self._named(one)
        for wanted in self._wanted.values():
            for facts in wanted.views if classes is None else wanted.views.keys() & classes:
                for view in wanted.views[facts]:
                    if view.entities[one.entity].is_moved_by(one):
                        refreshed[view] = None
            for facts in wanted.windows if classes is None else wanted.windows.keys() & classes:
                for window in wanted.windows[facts]:
                    if window.seen.is_moved_by(one):
                        moved[window] = None

    def doubt(self, refreshed: dict[View, None], moved: dict[SharedWindow, None]) -> None:
        """Note everybody."""
        for wanted in self._wanted.values():
            refreshed.update(dict.fromkeys(v for those in wanted.views.values() for v in those))
            moved.update(dict.fromkeys(w for those in wanted.windows.values() for w in those))

    def _named(self, one: Slice) -> Set[Facts] | None:
        """Return the classes that a slice can concern; None for any."""
        slots = self.policy.slots
        if one.who is None or any(slot not in slots for named in one.who for slot, _ in named):
            return None
        found: set[Facts] = set()
        for named in one.who:
            places = tuple(slots.index(slot) for slot, _ in named)
            found |= self.classes.by(places).get(tuple(value for _, value in named), set())
        return found


class _Hidden:
    """Which fields of a record's row callers do not get: asked once for each class of them."""

    def __init__(self, record: LogRecord, moment: Moment) -> None:
        self._record = record
        self._moment = moment
        self._known: dict[tuple[FieldPolicies, FieldFacts], frozenset[str]] = {}

    def view(self, seen: EntityView) -> frozenset[str]:
        """Return the fields that a view does not get."""
        if not seen.fields or seen.identity.is_system or self._record.after is None:
            return NOTHING
        key = (seen.fields, seen.field_facts)
        hidden = self._known.get(key)
        if hidden is None:
            moment = self._moment
            hidden = self._known[key] = seen.fields.hidden(
                seen.field_facts, self._record.after, moment.now, moment.exists
            )
        return hidden


def _wire_without(record: LogRecord, hidden: frozenset[str], view: View) -> str | None:
    if not hidden or record.after is None:
        return record.wire
    return masked_text(view.entities[record.entity].entity, record.after, hidden)


def _class_of(seen: EntityView) -> Facts | None:
    return None if seen.identity.is_system else seen.facts


class SubscriptionIndex:
    """The indexes of all entities; one is kept only while somebody follows it."""

    def __init__(self) -> None:
        self._of: dict[str, dict[CompiledPolicy, EntityIndex]] = {}
        self.followers = Followers()

    def of(self, entity: str) -> Iterator[EntityIndex]:
        """Yield who follows an entity: one index, or two while an app is reloaded."""
        yield from self._of.get(entity, {}).values()

    def follows(self, entity: str) -> bool:
        """Tell whether anybody follows an entity."""
        return entity in self._of or entity in self.followers

    def concerned(
        self, record: LogRecord, now: str, reader: ReadConnection, refreshed: dict[View, None],
        moved: dict[SharedWindow, None],
    ) -> None:  # fmt: skip
        """Note the views that have to read the log for what a record moves, and the windows."""
        self.followers.concerned(record, now, reader, refreshed)
        for index in self.of(record.entity):
            times, before = index.policy.times, record.before
            if times and before is not None and has_gone_by(times, before, record.at_ms, now):
                index.doubt(refreshed, moved)

    def move(self, slices: Iterable[Slice], refreshed: dict[View, None]) -> None:
        """Note the views that slices concern."""
        for one in slices:
            for index in self.of(one.entity):
                index.move(one, refreshed, {})

    @property
    def sizes(self) -> Mapping[str, int]:
        """Return how much is kept by entity."""
        return {name: sum(one.size for one in those.values()) for name, those in self._of.items()}

    def add_view(self, view: View) -> None:
        """Take a view in."""
        self.followers.add(view)
        for name, seen in view.entities.items():
            if seen.filters:
                self._index(name, seen).add_view(view, seen)

    def remove_view(self, view: View) -> None:
        """Take a view out."""
        self.followers.remove(view)
        for name, seen in view.entities.items():
            if seen.filters:
                self._index(name, seen).remove_view(view, seen)
                self._drop_if_empty(name, seen)

    def add_window(self, window: SharedWindow) -> None:
        """Take a window in."""
        self._index(window.seen.entity.name, window.seen).add_window(window)

    def remove_window(self, window: SharedWindow) -> None:
        """Take a window out."""
        name = window.seen.entity.name
        self._index(name, window.seen).remove_window(window)
        self._drop_if_empty(name, window.seen)

    def _index(self, name: str, seen: EntityView) -> EntityIndex:
        those = self._of.setdefault(name, {})
        index = those.get(seen.policy)
        if index is None:
            index = those[seen.policy] = EntityIndex(seen.policy)
        return index

    def _drop_if_empty(self, name: str, seen: EntityView) -> None:
        if not self._of[name][seen.policy].size:
            del self._of[name][seen.policy]
            if not self._of[name]:
                del self._of[name]
