"""Who is to be asked about a change because an `include` may lead to the row, or from it.

What such a change moves is read from the log, for each view that it may concern; all others are
left alone. Rows that start paths are answered by the index of filters; here are the rows behind
them, and those of windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pylon.server.storage.change_log import LogRecord
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.frames import Told
from pylon.server.sync.reach import Root
from pylon.server.sync.view import View


class Followers:
    """The views with an `include`, by every entity that matters to it."""

    def __init__(self) -> None:
        self._by_entity: dict[str, dict[View, None]] = {}

    def __len__(self) -> int:
        """Return how much is kept."""
        return sum(map(len, self._by_entity.values()))

    def __contains__(self, entity: str) -> bool:
        """Tell whether changes of an entity matter to any view."""
        return entity in self._by_entity

    def add(self, view: View) -> None:
        """Take a view in."""
        for name in view.follows:
            self._by_entity.setdefault(name, {})[view] = None

    def remove(self, view: View) -> None:
        """Take a view out."""
        for name in view.follows:
            del self._by_entity[name][view]
            if not self._by_entity[name]:
                del self._by_entity[name]

    def concerned(
        self, record: LogRecord, now: str, reader: ReadConnection, found: dict[View, None]
    ) -> None:
        """Note the views for which a record may move more than a row that a filter selects.

        Args:
            record: the record with its images, or a slice.
            now: the time that is asked at.
            reader: asks of the state now.
            found: the views, added to.
        """
        for view in self._by_entity.get(record.entity, ()):
            if view not in found and _concerns(record, view, now, reader):
                found[view] = None


def move_more(
    told: Mapping[View, list[Told]], records: Iterable[LogRecord]
) -> dict[View, None]:  # fmt: skip
    """Return the views of which rows that paths start at changed so that others may have moved."""
    concerned = [view for view in told if view.reaches]
    by_seq = {one.seq: one for one in records} if concerned else {}
    return {
        view: None
        for view in concerned
        if not all(_is_steady(by_seq[seq], view, text) for seq, _, text in told[view])
    }


def _is_steady(record: LogRecord, view: View, text: bytes) -> bool:
    """Tell whether a row that was and is in view leads where it led."""
    before, after = record.before, record.after
    if before is None or after is None or record.entity in view.included:
        return False
    if not text.partition(b'"kind":"')[2].startswith(b"update"):
        return False
    return all(
        before[hop.source] == after[hop.source]
        for hop in view.reaches
        if hop.parent.entity.name == record.entity
    )


def _concerns(record: LogRecord, view: View, now: str, reader: ReadConnection) -> bool:
    seen = view.entities[record.entity]
    if record.slice is not None:
        return seen.is_moved_by(record.slice)
    roots = [
        hop.parent
        for hop in view.reaches
        if isinstance(hop.parent, Root)
        and hop.parent.limit is not None
        and hop.parent.entity.name == record.entity
    ]
    for image in (record.before, record.after):
        if image is None:
            continue
        is_near = any(one.filter.matches(image, now) for one in roots)
        if (is_near or seen.is_reached(image, now, reader)) and seen.allows(image, now, reader):
            return True
    return False
