"""Refreshes: what a slice of the log is to a view, read as its rows are now.

A slice stands in the log for rows that a policy changed its mind about. To those whom it concerns
it is told as a `refresh`: all current rows of the slice that they may see and follow; what they
have of it beyond that goes. One routine for the socket, pull and server-sent events (SPEC.md).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pylon import jsonvalue, limits
from pylon.policy import ir
from pylon.policy.compiled import CompiledFilter, no_lookup
from pylon.policy.slices import Slice, Where, is_told, slice_from_json
from pylon.policy.sqlclause import SqlClause, both
from pylon.policy.types import type_of_field
from pylon.schema.fieldtypes import to_wire
from pylon.schema.model import Entity, Field, FieldKind
from pylon.schema.wire import row_from_image
from pylon.server.storage import sync_select
from pylon.server.storage.readers import ReadConnection
from pylon.server.sync.view import EntityView, View, any_clause

_ID: Final = Field(name="id", kind=FieldKind.STR)
#: Refreshes of which pages were sent already: seq of the slice (or what `including` names one by),
#: place of the last row.
Paging = Mapping[Hashable, int]


class SliceTooLarge(Exception):
    """A refresh of more rows than a caller is sent: he starts over instead."""


@dataclass(frozen=True, slots=True)
class SliceEntry:
    """A slice of the log, its transaction, and how the view sees its entity."""

    seq: int
    tx: int
    where: Where
    is_told_to_all: bool
    seen: EntityView


@dataclass(slots=True)
class Refreshes:
    """The refreshes of a page of the log, (seq, text) each, and where the page ends now."""

    through: int
    found: list[tuple[int, bytes]] = field(default_factory=list)
    #: Set where one has more pages: of the whole log nothing but the page found is sent now.
    paging: Paging | None = None


@dataclass(frozen=True, slots=True)
class RefreshReader:
    """Reads the refreshes of one view, inside one read transaction."""

    connection: ReadConnection
    view: View
    now: str
    #: By entity, ids of rows that stay whatever is followed: those that windows list.
    listed: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: Entities of which all that is in view is told anyway (`including`).
    told: frozenset[str] = frozenset()

    def read(self, after: int, through: int, paging: Paging | None) -> Refreshes:
        """Return the refreshes of the entries in (after, through].

        With `paging`, one of several pages is read page by page; without it, it is whole.
        Raises SliceTooLarge.
        """
        made = Refreshes(through)
        size = rows = tx = 0
        for entry in self._entries(after, through):
            if entry.seq > made.through:
                break
            if entry.is_told_to_all and not self._may_be_told(entry, after):
                continue
            visible = self.visible(entry)
            if entry.tx != tx:
                rows, tx = 0, entry.tx
            last: int | None = 0 if paging is None else paging.get(entry.seq, 0)
            while last is not None:
                start = last
                text, count, last = self.page(entry, visible, start)
                if paging is not None and last is not None:
                    if not start:
                        self.demand_bounded(entry, visible)
                    return _one_page(made, entry, after, text, {**paging, entry.seq: last})
                made.found.append((entry.seq, text))
                size, rows = size + len(text), rows + count
                if rows > limits.REFRESH_ROWS_MAX or size > limits.REFRESH_BYTES_MAX:
                    raise SliceTooLarge
            if size > limits.FRAME_BYTES_MAX:
                made.through = sync_select.end_of_transaction(self.connection.raw, entry.seq)
        return made

    # --- which

    def _entries(self, after: int, through: int) -> list[SliceEntry]:
        """Return the slices that concern the view; of equal ones the last that says it all."""
        entries = []
        for seq, tx, name, text in sync_select.slices_between(self.connection.raw, after, through):
            seen = self.view.entities.get(name)
            if seen is None or not seen.is_followed or name in self.told:
                continue
            one = slice_from_json(name, jsonvalue.decode_trusted(text))
            if seen.is_moved_by(one):
                where = where_of(seen.entity, one)
                entries.append(SliceEntry(seq, tx, where, bool(where) and one.who is None, seen))
        kept: list[SliceEntry] = []
        latest: dict[tuple[str, Where], int] = {}
        for entry in reversed(entries):
            key = (entry.seen.entity.name, entry.where)
            if key in latest and not sync_select.has_change_between(
                self.connection.raw, key[0], entry.seq, latest[key]
            ):
                continue
            latest[key] = entry.seq
            kept.append(entry)
        kept.reverse()
        return kept

    def _may_be_told(self, entry: SliceEntry, after: int) -> bool:
        """Tell whether these callers could hold a row of the slice, or see one now.

        A value of the looked-at row is told to everybody only where the policy could be true of a
        row that has it, each exists free: nobody learns of a slice that was never theirs.
        """
        raw, name, identity = self.connection.raw, entry.seen.entity.name, entry.seen.identity
        policy, where = entry.seen.policy.relaxed, filter_of(entry.seen.entity, entry.where)
        now = self.now
        stands = both(
            where.clause(identity, alias="t", now=now), policy.clause(identity, alias="t", now=now)
        )
        if sync_select.has_row(raw, name, stands):
            return True
        images = [one.image_clause(identity, column="l.before", now=now) for one in (where, policy)]
        if images[0] is not None and images[1] is not None:
            return sync_select.has_image(raw, name, after, both(images[0], images[1]))
        for text in sync_select.images_after(raw, name, after):
            row = row_from_image(entry.seen.entity, text)
            if where.matches(row) and policy.holds(identity, row, now, no_lookup):
                return True
        return False

    # --- its rows

    def visible(self, entry: SliceEntry) -> SqlClause:
        """Return what selects the rows of a slice that the view may see and follows."""
        seen = entry.seen
        policy, matches = seen.clauses(self.now, as_set=not entry.where)
        listed = self.listed.get(seen.entity.name)
        if listed:
            ids = jsonvalue.encode_text(list(listed))
            is_listed = SqlClause('t."id" IN (SELECT value FROM json_each(?))', (ids,))
            matches = any_clause([matches, is_listed])
        where = filter_of(seen.entity, entry.where).clause(seen.identity, alias="t", now=self.now)
        return both(matches, both(where, policy))

    def page(
        self, entry: SliceEntry, visible: SqlClause, after: int
    ) -> tuple[bytes, int, int | None]:
        """Return (text, number of rows, place of the last or None where done) of a page."""
        entity = entry.seen.entity
        rows, count, last = sync_select.refresh_page(
            self.connection.raw, entity, visible, after, limits.SNAPSHOT_PAGE_ROWS,
            limits.FRAME_BYTES_MAX, entry.seen.wire_clause(self.now),
        )  # fmt: skip
        where = jsonvalue.encode(_wire_where(entity, entry.where))
        text = b'{"seq":%d,"kind":"refresh","entity":"%b","where":%b,"rows":[%b],"done":%b}' % (
            entry.seq, entity.name.encode(), where, rows, b"false" if last is not None else b"true"
        )  # fmt: skip
        return text, count, last

    def demand_bounded(self, entry: SliceEntry, visible: SqlClause) -> None:
        """Raise SliceTooLarge where a refresh would send more than a caller is sent."""
        most = limits.REFRESH_ROWS_MAX
        found = sync_select.count_visible(
            self.connection.raw, entry.seen.entity, visible, at_most=most + 1
        )
        if found > most:
            raise SliceTooLarge


def _one_page(
    made: Refreshes, entry: SliceEntry, after: int, text: bytes, paging: Paging
) -> Refreshes:
    """Return a page of a refresh alone; first comes what stands before its transaction."""
    if entry.tx - 1 > after:
        made.through = entry.tx - 1
        made.found = [one for one in made.found if one[0] < entry.tx]
        return made
    return Refreshes(after, [(entry.seq, text)], paging)


def where_of(entity: Entity, one: Slice) -> Where:
    """Return the values of a slice that clients can compare; fewer of them are a larger slice."""
    return tuple((name, value) for name, value in one.where if is_told(entity, name))


def _field(entity: Entity, name: str) -> Field:
    return _ID if name == "id" else entity.by_name[name]


def filter_of(entity: Entity, where: Where) -> CompiledFilter:
    """Return what selects the rows of a slice."""
    terms = []
    for name, value in where:
        found = _field(entity, name)
        column = ir.Column("data", name, type_of_field(found), nullable=True, field_kind=found.kind)
        terms.append(ir.Cmp("==", column, ir.Const(value, column.type)))
    condition = ir.Conjunction(tuple(terms)) if terms else ir.Constant(value=True)
    return CompiledFilter("", condition, f"slice of {entity.name}")


def _wire_where(entity: Entity, where: Where) -> dict[str, jsonvalue.JsonValue]:
    values: dict[str, jsonvalue.JsonValue] = {}
    for name, value in where:
        values[name] = to_wire(_field(entity, name), value)
    return values
