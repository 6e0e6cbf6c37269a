"""What the dashboard does about rows: what is in sight is read, and again as it moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.data_copies import DEPTH_MAX, ROWS_MAX, needs
from pylon.tui.data_state import DataState
from pylon.tui.labels import Labels
from pylon.tui.rests import Rests

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard

_GROUP: Final = "data"
#: What is in sight is read again so soon after the last time, or after so many times as it took.
_EVERY_SECONDS: Final = 0.5
_REST: Final = 5.0
#: Counting looks at every row.
_COUNT_EVERY_SECONDS: Final = 1.0
_COUNT_REST: Final = 20.0
_SIZES_EVERY_SECONDS: Final = 60.0
#: A filter is asked so long after its last letter.
_TYPED_SECONDS: Final = 0.25
_STALE_SECONDS: Final = 2.0
#: Rows that are read at once, of those that are only marked.
_IDS_AT_ONCE: Final = 1_000
#: Refusals that asking again would not change.
_FINAL: Final = ("INVALID_ARGUMENT", "NOT_FOUND", "NOT_RETAINED")


class Data:
    """The rows of one dashboard's app."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        self._rows = Rests(_EVERY_SECONDS, _REST)
        self._counts = Rests(_COUNT_EVERY_SECONDS, _COUNT_REST)
        self._lists = Rests(_COUNT_EVERY_SECONDS, _COUNT_REST)
        self._labels = Labels(app, admin)
        self._sized_at: float | None = None
        self._listed: tuple[int, Any] | None = None
        #: (generation, head) that the rows, and their number, are of.
        self._read: tuple[int, int] | None = None
        self._counted: tuple[int, int] | None = None
        #: When rows, entities and their number were read; since when they are not of the head.
        self._read_at = self._listed_at = self._counted_at = 0.0
        self._behind: dict[str, float] = {}
        self._typed: tuple[str, float] | None = None
        self._trouble = ""
        self._cursor = 0

    @property
    def state(self) -> DataState:
        """Return what is held."""
        return self._app.state.data

    @property
    def is_listed(self) -> bool:
        """Tell whether the runtime ever told its entities."""
        return self._listed_at > 0

    @property
    def _version(self) -> tuple[str, Any]:
        """Return of which lineage and generation of the app what is shown is to be."""
        return self._app.state.epoch, self._app.state.status.get("generation")

    @property
    def _head(self) -> int:
        """Return the change that what is shown is to be of: the past stays as it is."""
        as_of = self.state.as_of
        return self._app.state.head if as_of is None else as_of

    def keep_current(self, terms: str, cursor: int) -> None:
        """Ask for what is missing or old, while the screen is seen."""
        now, state = self._app.clock.monotonic(), self.state
        self._cursor = cursor
        self._refine(terms.strip(), now)
        head, version = self._head, self._version
        if self._lists.may(now) and self._listed != (head, version):
            self._lists.is_asking = True
            self._run("data entities", self._ask_entities(head, version))
        if state.place is None:
            self._note(now)
            return
        which, is_old = state.wanted(cursor), self._read != (state.generation, head)
        if which is None and state.is_answered and is_old and self._rows.may(now):
            which = "again"
        # Rows that are missing are asked for at once, unless that has just failed.
        may = self._rows.may(now) if self._trouble else not self._rows.is_asking
        if which is not None and may:
            self._rows.is_asking = True
            self._run("data rows", self._ask_rows(which, head, state.generation))
        is_uncounted = self._counted != (state.generation, head)
        if state.is_answered and is_uncounted and self._counts.may(now):
            self._counts.is_asking = True
            self._run("data count", self._ask_count(head))
        self._labels.keep_current(state, cursor, head)
        self._note(now)

    def ask_again(self) -> None:
        """Have everything in sight read again at once."""
        self._read = self._counted = self._listed = None
        self._rows.next_at = self._counts.next_at = self._lists.next_at = 0.0

    def ask_typed(self, terms: str) -> None:
        """Ask a filter that is typed to its end, without waiting for more letters."""
        self._typed = None
        if self.state.place is not None and terms.strip() != self.state.place.filter:
            self.state.ask(filter=terms.strip())
            self.keep_current(terms, 0)

    def _run(self, name: str, work: Any) -> None:
        self._app.run_worker(work, name=name, group=_GROUP)

    def _refine(self, terms: str, now: float) -> None:
        """Ask what was typed, once nothing more is typed for a moment."""
        place = self.state.place
        if place is None or terms == place.filter:
            self._typed = None
        elif self._typed is None or self._typed[0] != terms:
            self._typed = (terms, now)
        elif now - self._typed[1] >= _TYPED_SECONDS:
            self._typed = None
            self.state.ask(filter=terms)

    def ids_beyond(self, entity: str, *, to_end: bool) -> AsyncIterator[list[str]]:
        """Yield the ids of the rows beyond the window, up to the last, or the first, of all.

        In the order of now, whatever is asked meanwhile; raises AdminError.
        """
        asked = {**self.state.params("below" if to_end else "above"), "limit": _IDS_AT_ONCE}

        async def pages() -> AsyncIterator[list[str]]:
            path = f"admin/data/{self._admin.quoted(entity)}"
            while True:
                page = await self._admin.get(path, **asked)
                yield [str(one["id"]) for one in page["rows"]]
                if not page["more"] or not page["keys"]:
                    return
                asked["after" if to_end else "before"] = page["keys"][-1 if to_end else 0][1]

        return pages()

    async def with_needs(
        self, entity: dict[str, Any], row: dict[str, Any]
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return a row behind the rows that it refers to, as far as they are there; at most a few.

        Each is (entity, row). They are read as the owner: what a user may not read is needed, too.
        """
        found: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}
        seen = {(entity["name"], row["id"])}

        async def follow(of: dict[str, Any], one: dict[str, Any], depth: int) -> None:
            for name, row_id in needs(of, one):
                target = self.state.entity(name)
                if (name, row_id) in seen or target is None or len(seen) >= ROWS_MAX:
                    continue
                seen.add((name, row_id))
                path = f"admin/data/{self._admin.quoted(name)}/{self._admin.quoted(row_id)}"
                try:
                    needed = (await self._admin.get(path))["row"]
                except AdminError:
                    continue  # it is gone by now
                if depth < DEPTH_MAX:
                    await follow(target, needed, depth + 1)
                found[name, row_id] = (target, needed)

        await follow(entity, row, 1)
        return [*found.values(), (entity, row)]

    async def _ask_entities(self, head: int, version: tuple[str, Any]) -> None:
        clock, state = self._app.clock, self.state
        as_of = state.as_of
        started = clock.monotonic()
        is_time = self._sized_at is None or started - self._sized_at > _SIZES_EVERY_SECONDS
        try:
            # Rows first: measuring takes longer than counting.
            with_sizes = is_time and bool(state.entities)
            found = await self._admin.get(
                "admin/data", sizes=1 if with_sizes else None, as_of=as_of
            )
            with self._app.enduring.understood("the entities"):
                if as_of == state.as_of:
                    state.take_entities(found["entities"])
        except AdminError as error:
            self._trouble = _words(error)
        else:
            if as_of != state.as_of:  # one went to another time meanwhile: it is asked again
                return
            if with_sizes:
                self._sized_at = clock.monotonic()
            self._trouble = ""
            # Where sizes are yet to come they are asked for at once.
            self._listed = (head, version) if with_sizes or not is_time else None
            self._listed_at = clock.monotonic()
            self._tell()
        finally:
            self._lists.done(started, clock.monotonic())
            if self._listed is None and not self._trouble:
                self._lists.next_at = 0.0

    async def _ask_rows(self, which: str, head: int, generation: int) -> None:
        clock, state = self._app.clock, self.state
        started = clock.monotonic()
        if state.place is None or generation != state.generation:  # one went on before this began
            self._rows.done(started, started)
            self._rows.next_at = 0.0
            return
        path = f"admin/data/{self._admin.quoted(state.place.entity)}"
        try:
            answer = await self._admin.get(path, **state.params(which))
            with self._app.enduring.understood("the rows"):
                is_ours = state.take(generation, which, self._cursor, answer)
        except AdminError as error:
            self._trouble = _words(error)
            if which == "first" and error.code in _FINAL:
                state.refuse(generation)
                at = error.details.get("at")
                if isinstance(at, int) and generation == state.generation:
                    state.mistake = (state.place.filter, at, self._trouble)
            self._tell()
        else:
            self._trouble = ""
            if is_ours and which in ("first", "again"):
                self._read, self._read_at = (generation, head), clock.monotonic()
            self._tell()
        finally:
            self._rows.done(started, clock.monotonic())
            if generation != state.generation:
                self._rows.next_at = 0.0

    async def _ask_count(self, head: int) -> None:
        clock, state = self._app.clock, self.state
        started, generation, place = clock.monotonic(), state.generation, state.place
        if place is None:  # one went back before this began
            self._counts.done(started, started)
            self._counts.next_at = 0.0
            return
        path = f"admin/data/{self._admin.quoted(place.entity)}"
        asked = {
            "count": 1, "filter": place.filter or None, "as": state.viewer or None,
            "as_of": state.as_of,
        }  # fmt: skip
        try:
            found = await self._admin.get(path, **asked)
            with self._app.enduring.understood("the count"):
                state.count(generation, found["count"])
        except AdminError as error:
            self._trouble = _words(error)
        else:
            self._counted, self._counted_at = (generation, head), clock.monotonic()
            self._tell()
        finally:
            self._counts.done(started, clock.monotonic())
            if generation != state.generation:
                self._counts.next_at = 0.0

    def _tell(self) -> None:
        self._app.state.touch("data")
        self._app.draw()

    def _note(self, now: float) -> None:
        """Say how far what is shown can be trusted."""
        state, note = self.state, ""
        listed = (self._head, self._version)
        counts_old = self._old("counts", now, self._listed_at, is_current=self._listed == listed)
        is_read = state.place is None or self._read == (state.generation, self._head)
        rows_old = self._old("rows", now, self._read_at, is_current=is_read)
        is_starting = self._app.state.process_state == "starting" and not state.entities
        if is_starting:
            note = "◔ the runtime starts …"
        elif self._trouble:
            note = f"✗ {self._trouble}"
        elif state.place is None and not state.entities and not self._listed_at:
            note = "◔ reading …"
        elif state.place is not None and state.is_answered is None:
            note = "◔ searching …" if state.place.filter else "◔ reading …"
        elif rows_old > _STALE_SECONDS:
            note = f"STALE: rows were read {now - self._read_at:.0f} s ago"
        elif state.place is None and counts_old > _STALE_SECONDS:
            note = f"STALE: counts were read {now - self._listed_at:.0f} s ago"
        is_counted = state.total is None or self._counted == (state.generation, self._head)
        total_old = self._old("total", now, self._counted_at, is_current=is_counted)
        is_total_old = total_old > _STALE_SECONDS
        if note != self._app.state.data_note or is_total_old != state.is_total_old:
            self._app.state.data_note, state.is_total_old = note, is_total_old
            self._app.state.touch("data")

    def _old(self, what: str, now: float, read_at: float, *, is_current: bool) -> float:
        """Return for how long something is not of the head and was not read, either."""
        if is_current:
            self._behind.pop(what, None)
            return 0.0
        return now - max(read_at, self._behind.setdefault(what, now))


def _words(error: AdminError) -> str:
    """Return what is wrong, on one line: the first line of a mistake, and its hint."""
    first = error.message.split("\n")[0]
    return f"{first} ({error.hint})" if error.hint else first
