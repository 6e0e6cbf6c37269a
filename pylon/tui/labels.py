"""Labels of references: the first text of the row that one leads to.

They are asked for by the door that rows come through, as whoever looks and as of when he looks: a
row that a user may not read lends him no word. What is not told has none, and its id stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pylon.client.admin import AdminClient, AdminError
from pylon.tui.rests import Rests

if TYPE_CHECKING:
    from pylon.tui.dashboard import Dashboard
    from pylon.tui.data_state import DataState

#: So many rows above and below the cursor lend their references.
_AROUND: Final = 60
#: So many rows are asked for at once: their ids stand in one address.
_AT_ONCE: Final = 60
#: So many are held at most; beyond that all are asked for anew.
_HELD_MAX: Final = 5_000
_TEXTS: Final = ("str", "text")
#: They are read again so soon after the last time, or after so many times as it took.
_EVERY_SECONDS: Final = 1.0
#: As whom one looks, as of when, and at which lineage of changes.
Moment = tuple[str, int | None, str]
_REST: Final = 5.0


def label_field(entity: Mapping[str, Any] | None) -> str | None:
    """Return the field that names rows of an entity: its first text that is not private."""
    for one in () if entity is None else entity["fields"]:
        if one["kind"] in _TEXTS and not one["private"]:
            return str(one["name"])
    return None


def referred(state: DataState, cursor: int) -> dict[str, list[str]]:
    """Return which rows those around the cursor refer to, by entity, each once."""
    found: dict[str, dict[str, None]] = {}
    rows = state.rows[max(0, cursor - _AROUND) : cursor + _AROUND]
    for field in state.fields():
        if field["ref"] and label_field(state.entity(field["ref"])) is not None:
            ids = found.setdefault(field["ref"], {})
            ids.update((row[field["name"]], None) for row in rows if row.get(field["name"]))
    return {entity: list(ids) for entity, ids in found.items() if ids}


class Labels:
    """The labels of what is in sight, kept right as the app writes."""

    def __init__(self, app: Dashboard, admin: AdminClient) -> None:
        self._app = app
        self._admin = admin
        self._rests = Rests(_EVERY_SECONDS, _REST)
        #: What the labels are of.
        self._moment: Moment = ("", None, "")
        #: The change that a label is of, by entity and id.
        self._read: dict[tuple[str, str], int] = {}
        self._has_failed = False

    def keep_current(self, state: DataState, cursor: int, head: int) -> None:
        """Ask for labels that are missing in sight, or old."""
        moment = (state.viewer, state.as_of, self._app.state.epoch)
        if moment != self._moment or len(self._read) > _HELD_MAX:
            self._moment = moment
            state.labels = {}
            self._read.clear()
        if self._rests.is_asking:
            return
        is_rested = self._rests.may(self._app.clock.monotonic())
        for entity, ids in referred(state, cursor).items():
            missing = [one for one in ids if (entity, one) not in self._read]
            old = [one for one in ids if self._read.get((entity, one), head) != head]
            if (missing and not self._has_failed) or (is_rested and (missing or old)):
                self._rests.is_asking = True
                work = self._ask(state, moment, entity, [*missing, *old][:_AT_ONCE], head)
                self._app.run_worker(work, name="data labels", group="data")
                return

    async def _ask(
        self, state: DataState, moment: Moment, entity: str, ids: list[str], head: int
    ) -> None:
        clock = self._app.clock
        started, field = clock.monotonic(), label_field(state.entity(entity))
        listed = ", ".join(f"'{one}'" for one in ids)
        asked = {
            "filter": f"id in [{listed}]", "limit": len(ids), "as": moment[0] or None,
            "as_of": moment[1],
        }  # fmt: skip
        self._has_failed = True
        try:
            found = await self._admin.get(f"admin/data/{self._admin.quoted(entity)}", **asked)
        except AdminError:
            pass  # their ids stand there; what is wrong is said where the rows are asked for
        else:
            with self._app.enduring.understood("what rows are called"):
                told = {one["id"]: str(one.get(field) or "") for one in found["rows"]}
                self._has_failed = False
                if moment != self._moment:
                    return
                self._read.update(((entity, one), head) for one in ids)
                before = state.labels.get(entity, {})
                after = {**before, **{one: told.get(one, "") for one in ids}}
                if after != before:
                    state.labels = {**state.labels, entity: after}
                    self._app.state.touch("data")
        finally:
            self._rests.done(started, clock.monotonic())
