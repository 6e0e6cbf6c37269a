"""What the Data screen holds: the entities, where one is and came from, and a window of rows.

The window is a few hundred rows around the cursor, whatever the table's size; it is read on at
either end and let go at the other. Pure: requests out, answers in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

#: Rows that are read at once, and that are held at most.
PAGE: Final = 200
WINDOW_MAX: Final = 800
#: So near an end of the window the next page is read.
NEAR: Final = 80
#: Rows that are marked at most. Above: the next is not marked.
MARKS_MAX: Final = 100_000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is: rows of an entity, filtered and ordered."""

    entity: str
    filter: str = ""
    #: What was filtered for on arriving, by a reference: nobody typed it.
    given: str = ""
    #: A field, with `-` before it where it descends; empty: by id.
    order: str = ""
    #: The field and the row that the cursor was on, for coming back.
    column: int = 0
    row_id: str | None = None
    #: Where to begin for that: the key of a row near it, with how many stand before that one.
    key: str | None = None
    offset: int | None = None


@dataclass(slots=True)
class DataState:
    """Entities with their counts, the trail, and the rows in sight."""

    entities: list[dict[str, Any]] = field(default_factory=list)
    place: Place | None = None
    #: Where one came from, the last one behind.
    trail: list[Place] = field(default_factory=list)
    #: As whom one looks; empty: as the owner.
    viewer: str = ""
    #: The change as of which one looks; None: as of now.
    as_of: int | None = None
    rows: list[Row] = field(default_factory=list)
    #: Rows above and below the window are there.
    is_open_above: bool = False
    is_open_below: bool = False
    #: How many rows stand before the window; None where that was not counted.
    offset: int | None = 0
    #: How many rows there are; None before that was counted, or where it takes too long.
    total: int | None = None
    #: There may be more or fewer by now: they were counted more than two seconds ago.
    is_total_old: bool = False
    #: Rises with every question; answers to others are thrown away.
    generation: int = 0
    #: The rows are those of the question; None before an answer, False where it was refused.
    is_answered: bool | None = None
    #: Rises as the window is read again where it is.
    readings: int = 0
    #: Fields that are not shown, by entity; what is not here shows all but private ones.
    hidden: dict[str, frozenset[str]] = field(default_factory=dict)
    #: What rows are called that others refer to, by entity and id; empty: they are not told.
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    #: What is wrong with a filter: (its text, the place in it, words).
    mistake: tuple[str, int, str] | None = None
    #: What the SQL line asked, the newest behind.
    asked_sql: list[str] = field(default_factory=list)
    #: Rows that are marked, by id, in the order of marking; of the place's entity.
    marked: dict[str, None] = field(default_factory=dict)
    #: Moving the cursor marks what it passes.
    is_ranging: bool = False
    #: (place in the window, key) of some rows, both ends among them.
    _marks: list[tuple[int, str]] = field(default_factory=list)
    #: The window was read from the last row of all upwards.
    is_from_end: bool = False

    # --- where one is

    def take_entities(self, coming: Iterable[dict[str, Any]]) -> None:
        """Take the entities; sizes are not measured each time, and stay."""
        sizes = {one["name"]: one.get("bytes") for one in self.entities}
        self.entities = [
            {**one, "bytes": one.get("bytes", sizes.get(one["name"]))} for one in coming
        ]

    def entity(self, name: str | None = None) -> dict[str, Any] | None:
        """Return what is known of an entity; of the place's without a name."""
        wanted = name or (self.place.entity if self.place else "")
        return next((one for one in self.entities if one["name"] == wanted), None)

    def go(self, place: Place, *, cursor: int = 0, column: int = 0) -> None:
        """Go to rows, and remember where the cursor was."""
        if self.place is not None:
            at, key = max((one for one in self._marks if one[0] <= cursor), default=(0, None))
            is_top = at == 0 and not self.is_open_above
            self.trail.append(
                replace(
                    self.place, column=column, key=None if is_top else key,
                    row_id=self.rows[cursor]["id"] if cursor < len(self.rows) else None,
                    offset=None if self.offset is None else self.offset + at,
                )
            )  # fmt: skip
        self._begin(place, keeps_rows=False)

    def enter(self, entity: str) -> None:
        """Open an entity from the list: a new trail."""
        self.trail.clear()
        self._begin(Place(entity), keeps_rows=False)

    def back(self) -> Place | None:
        """Return to where one came from; None: to the list of entities."""
        if self.trail:
            self._begin(self.trail.pop(), keeps_rows=False)
        else:
            self.place = None
            self.generation += 1
            self.clear_marks()
        return self.place

    def ask(self, **changed: str) -> None:
        """Ask the same entity otherwise: another `filter` or `order`; the rows stay till then."""
        if self.place is not None:
            self._begin(Place(**{**_question(self.place), **changed}), keeps_rows=True)

    def look_as(self, viewer: str) -> None:
        """Look as somebody from now on."""
        self.viewer = viewer
        if self.place is not None:
            self._begin(Place(**_question(self.place)), keeps_rows=False)

    def stand(self, seq: int | None) -> None:
        """Look as of a change from now on; None: as of now."""
        if seq == self.as_of:
            return
        self.as_of = seq
        if self.place is not None:
            self._begin(Place(**_question(self.place)), keeps_rows=True)
            self.total = None

    def jump(self, *, to_end: bool) -> None:
        """Go to the last rows, or to the first."""
        if self.place is not None:
            self._begin(Place(**_question(self.place)), keeps_rows=True, to_end=to_end)

    def begin_lineage(self) -> None:
        """Take it that another branch or a backup is in use: what is held was of the one before."""
        self.as_of = None
        self.clear_marks()
        if self.place is None:
            self.generation += 1
        else:
            self._begin(Place(**_question(self.place)), keeps_rows=False)

    # --- marks

    def mark(self, places: Iterable[int]) -> None:
        """Mark rows of the window."""
        self.mark_ids(self.rows[at]["id"] for at in places if 0 <= at < len(self.rows))

    def mark_ids(self, ids: Iterable[str]) -> None:
        """Mark rows, in the window or not."""
        for one in ids:
            if len(self.marked) < MARKS_MAX:
                self.marked[one] = None

    def toggle_mark(self, at: int) -> None:
        """Mark a row of the window, or not any more."""
        if 0 <= at < len(self.rows):
            row_id = self.rows[at]["id"]
            if row_id in self.marked:
                del self.marked[row_id]
            else:
                self.mark([at])

    def unmark(self, entity: str, ids: Iterable[str]) -> None:
        """Mark these rows of an entity no more; others stay, also where one is elsewhere by now."""
        if self.place is not None and self.place.entity == entity:
            for one in ids:
                self.marked.pop(one, None)
            self.is_ranging = False

    def clear_marks(self) -> None:
        """Mark nothing any more."""
        self.marked.clear()
        self.is_ranging = False

    def _begin(self, place: Place, *, keeps_rows: bool, to_end: bool = False) -> None:
        if self.place is None or self.place.entity != place.entity:
            self.clear_marks()
        is_same = self.place is not None and (place.entity, place.filter) == (
            self.place.entity, self.place.filter,
        )  # fmt: skip
        self.place = place
        self.generation += 1
        self.is_answered, self.is_from_end = None, to_end
        if not keeps_rows:
            self.rows, self._marks = [], []
            self.is_open_above = self.is_open_below = False
        if not (keeps_rows and is_same):
            self.total = None

    # --- what is asked

    def wanted(self, cursor: int) -> str | None:
        """Return which rows are missing where the cursor is: `first`, `below`, `above`, or None."""
        if self.place is None or self.is_answered is False:
            return None
        if self.is_answered is None:
            return "first"
        if self.is_open_below and cursor + NEAR >= len(self.rows):
            return "below"
        return "above" if self.is_open_above and cursor < NEAR else None

    def params(self, which: str) -> dict[str, Any]:
        """Return the request of `first`, `below`, `above` or `again`."""
        assert self.place is not None
        asked: dict[str, Any] = {
            "filter": self.place.filter or None, "order": self.place.order or None,
            "as": self.viewer or None, "as_of": self.as_of, "limit": PAGE,
        }  # fmt: skip
        if which == "first":
            asked["end"] = 1 if self.is_from_end else None
            asked["at"] = self.place.key
        elif which == "below":
            asked["after"] = self._marks[-1][1]
        elif which == "above":
            asked["before"] = self._marks[0][1]
        else:
            asked["limit"] = max(PAGE, len(self.rows))
            if self.is_open_above and self._marks:
                asked["at"] = self._marks[0][1]
        return asked

    def take(self, generation: int, which: str, cursor: int, answer: dict[str, Any]) -> bool:
        """Take rows; False for those of another question. The cursor's row is not let go."""
        if generation != self.generation:
            return False
        rows, more = list(answer["rows"]), bool(answer["more"])
        marks = [(int(at), str(key)) for at, key in answer["keys"]]
        if which == "below":
            marks = [(at + len(self.rows), key) for at, key in marks]
            self.rows, self._marks = [*self.rows, *rows], [*self._marks, *marks]
            self.is_open_below = more
            self._drop_above(cursor)
        elif which == "above":
            self._marks = [*marks, *((at + len(rows), key) for at, key in self._marks)]
            self.rows, self.is_open_above = [*rows, *self.rows], more
            if self.offset is not None:
                self.offset = max(0, self.offset - len(rows)) if more else 0
            self._drop_below(cursor + len(rows))
        else:
            self.rows, self._marks = rows, marks
            if which == "first":
                self.is_answered = True
                key = self.place.key if self.place is not None else None
                self.is_open_above = key is not None or (more and self.is_from_end)
                self.is_open_below = more and not self.is_from_end
                self.offset = 0 if key is None else self.place.offset if self.place else None
                if self.is_from_end:
                    self.offset = self._from_end()
            else:
                self.is_open_below = more
                self.readings += 1
        return True

    def refuse(self, generation: int) -> None:
        """Take it that the question was refused: it is not asked again."""
        if generation == self.generation:
            self.is_answered = False

    def count(self, generation: int, total: int | None) -> None:
        """Take how many rows there are."""
        if generation == self.generation:
            self.total = total
            if self.is_from_end and self.offset is None:
                self.offset = self._from_end()

    def _from_end(self) -> int | None:
        """Return the offset of a window whose last row is the last one of all."""
        if self.is_open_below or self.total is None:
            return None if self.is_open_above or self.is_open_below else 0
        return max(0, self.total - len(self.rows))

    def _drop_above(self, cursor: int) -> None:
        most = min(len(self.rows) - WINDOW_MAX, cursor - NEAR)
        at = max((one for one, _ in self._marks if one <= most), default=0)
        if at > 0:
            self.rows = self.rows[at:]
            self._marks = [(one - at, key) for one, key in self._marks if one >= at]
            self.is_open_above = True
            if self.offset is not None:
                self.offset += at

    def _drop_below(self, cursor: int) -> None:
        least = max(WINDOW_MAX, cursor + NEAR)
        at = min((one for one, _ in self._marks if one >= least), default=len(self.rows))
        if at < len(self.rows) - 1:
            self.rows = self.rows[: at + 1]
            self._marks = [(one, key) for one, key in self._marks if one <= at]
            self.is_open_below = True

    @property
    def first_cursor(self) -> int:
        """Return which row of a fresh window the cursor belongs on."""
        if self.is_from_end:
            return len(self.rows) - 1
        wanted = self.place.row_id if self.place is not None else None
        return next((at for at, row in enumerate(self.rows) if row["id"] == wanted), 0)

    # --- columns

    def question(self) -> dict[str, Any]:
        """Return what is shown, as an export asks for it: filter, order, fields, as and as_of."""
        assert self.place is not None
        return {
            "filter": self.place.filter, "order": self.place.order, "as": self.viewer,
            "fields": ",".join(one["name"] for one in self.fields()), "as_of": self.as_of,
        }  # fmt: skip

    def fields(self) -> list[dict[str, Any]]:
        """Return the fields of the place's entity that are shown, in order of declaration."""
        entity = self.entity()
        if entity is None:
            return []
        hidden = self.hidden_fields()
        shown = [one for one in entity["fields"] if one["name"] not in hidden]
        return [one for one in shown if not (self.viewer and one["private"])]

    def hidden_fields(self) -> frozenset[str]:
        """Return the names of fields that are not shown: private ones until they are chosen."""
        entity = self.entity()
        if entity is None:
            return frozenset()
        private = frozenset(one["name"] for one in entity["fields"] if one["private"])
        return self.hidden.get(entity["name"], private)


def _question(place: Place) -> dict[str, Any]:
    return {
        "entity": place.entity, "filter": place.filter, "given": place.given, "order": place.order,
    }  # fmt: skip
