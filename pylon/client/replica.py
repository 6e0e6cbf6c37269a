"""The replica: rows as the server confirmed them, the cursor, and what is subscribed.

What does not live here: pending mutations (`pending`), what is shown (`view`), and when to pull,
resync or reconnect (`machine`). Numbers of rules are those of ALGORITHMS §3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pylon.client.claims import Claims
from pylon.client.compare import is_same, key_text
from pylon.client.fields import Fields
from pylon.client.filters import has_values
from pylon.client.pending import PendingMutation
from pylon.client.rows import Save, Shown, StoredReplica, WireRow, Writes, is_row
from pylon.client.subscription import Definition, Subscription, has_reached, read_cursor, seq_of
from pylon.protocol.messages import Snapshot, Window

replace = msgspec.structs.replace


class Replica:
    """One client's copy of what it may see, through its cursor."""

    def __init__(self, fields: Fields | None = None) -> None:
        self.cursor: str | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self._fields = fields or Fields()
        self._base: dict[str, dict[str, WireRow]] = {}
        self._claims = Claims(self.subscriptions)
        self._shown = Shown()
        self._writes = Writes()
        self._ready_before: set[str] = set()
        #: By window, the number that its last frame was true at.
        self._window_seqs: dict[str, int] = {}
        self._has_more = False
        self._is_resyncing = False
        #: Nothing is shown before it is known whose rows these are (I33).
        self._is_concealed = False
        #: Deletes since a hydration began: a page read before them does not bring rows back.
        self._tombstones: dict[tuple[str, str], int] = {}
        #: Ids sent so far by refreshes whose last page is still missing.
        self._refreshes: dict[str, tuple[str, set[str]]] = {}

    # --- reading

    def row(self, entity: str, row_id: str) -> WireRow | None:
        """Return a row as it may be shown."""
        if self._is_concealed:
            return None
        if self._shown.is_held(entity, row_id):
            return self._shown.held_row(entity, row_id)
        return self._base.get(entity, {}).get(row_id)

    def rows(self, entity: str) -> Iterator[WireRow]:
        """Visit the rows of an entity as they may be shown."""
        if self._is_concealed:
            return
        for row_id, row in self._base.get(entity, {}).items():
            if not self._shown.is_held(entity, row_id):
                yield row
        yield from self._shown.held_rows(entity)

    @property
    def shown_cursor(self) -> str | None:
        """Return the cursor up to which rows are shown, None while that is not known."""
        return None if self._shown.is_holding or self._is_concealed else self.cursor

    @property
    def is_stale(self) -> bool:
        """Tell whether the rows in sight are those from before a resync."""
        return self._is_resyncing

    @property
    def is_hydrating(self) -> bool:
        """Tell whether some subscription still waits for pages."""
        return any(
            one.phase != "failed" and not self._is_complete(one)
            for one in self.subscriptions.values()
        )

    def is_ready(self, subscription_id: str) -> bool:
        """Tell whether a subscription's rows are complete as of the cursor (rule 9)."""
        found = self.subscriptions.get(subscription_id)
        if found is None or self._is_concealed:
            return False
        if self._shown.is_holding:
            return subscription_id in self._ready_before
        return self._is_complete(found)

    def _is_complete(self, subscription: Subscription) -> bool:
        return subscription.phase == "done" and has_reached(self.cursor, subscription.at)

    def take_save(self) -> Save | None:
        """Return what must be written since the last call, or None."""
        return self._writes.take(self.cursor, list(self.subscriptions.values()))

    def take_touched(self) -> dict[str, dict[str, None]]:
        """Return the ids whose shown row may have changed since the last call, by entity."""
        return self._shown.take_touched()

    def take_state_change(self) -> bool:
        """Tell whether a subscription's state may have changed since the last call."""
        return self._shown.take_state_change()

    # --- what is asked for

    def load(self, stored: StoredReplica) -> None:
        """Take in what a store held; it is concealed until `reveal`."""
        self.cursor = stored.cursor
        for entity, row in stored.rows:
            self._base.setdefault(entity, {})[row["id"]] = self._fields.complete(entity, row)
        for one in stored.subscriptions:
            self._accept(one)
        for entity, row in stored.rows:
            self._claims.keeps(entity, row)
        self._is_concealed = True

    def reveal(self) -> None:
        """Show what was stored: it is known to be the caller's own."""
        if not self._is_concealed:
            return
        self._is_concealed = False
        self._shown.is_state_changed = True
        for entity, rows in self._base.items():
            for row_id in rows:
                self._shown.touch(entity, row_id)

    def use_fields(self, fields: Fields) -> None:
        """Take in a new manifest: rows of older versions get the fields that they lack."""
        self._fields = fields
        for entity, rows in self._base.items():
            for row_id, row in list(rows.items()):
                completed = fields.complete(entity, row)
                if completed is not row:
                    self._put(entity, row_id, completed)
        for one in self.subscriptions.values():
            self._accept(one)

    def subscribe(self, subscription_id: str, definition: Definition) -> None:
        """Ask for rows under a new id."""
        self._accept(Subscription(id=subscription_id, definition=definition))
        self._sweep(definition.entity, self._claims.listed(definition.entity))
        self._writes.is_changed = True

    def unsubscribe(self, subscription_id: str) -> None:
        """Drop a subscription and the rows that no other one wants (rule 14)."""
        found = self.subscriptions.pop(subscription_id, None)
        if found is None:
            return
        self._claims.forget(subscription_id)
        self._writes.is_changed = True
        entity = found.definition.entity
        self._sweep(entity, list(self._base.get(entity, ())))
        self._end_hydration()

    def fail(self, subscription_id: str, error: dict[str, Any]) -> None:
        """Note that the server refused a subscription: it is told of no row any more."""
        found = self.subscriptions.get(subscription_id)
        if found is not None:
            self._change(replace(found, phase="failed", error=error))
            self._sweep(found.definition.entity, list(self._base.get(found.definition.entity, ())))

    def start_at(self, head: str) -> None:
        """Take the cursor of a connection that started without one."""
        self.cursor = head
        self._writes.is_changed = True

    def reset(self, cursor: str | None, *, is_kept: bool) -> None:
        """Drop rows, cursor and states (rule 12); `is_kept`: the old rows stay in sight."""
        if is_kept:
            self._hold()
        else:
            self._shown.release()
        self._ready_before.clear()
        for entity, rows in self._base.items():
            for row_id, row in rows.items():
                self._shown.note(entity, row_id, row)
        self._base.clear()
        for kept in (self._tombstones, self._refreshes, self._window_seqs, self._claims):
            kept.clear()
        self._writes.reset()
        self._has_more = self._is_concealed = False
        self._is_resyncing = is_kept
        self.cursor = cursor
        for one in list(self.subscriptions.values()):
            self._change(replace(one, phase="hydrating", after=None, at=None, ids=None, error=None))

    def interrupt(self) -> None:
        """Forget what a broken connection left half done."""
        self._refreshes.clear()

    # --- what arrives

    def page(self, message: Snapshot) -> None:
        """Apply a page: rows at or above the local `_seq` (rule 6), unless deleted since (8)."""
        found = self.subscriptions.get(message.subscription)
        if found is None or found.phase == "done" or found.definition.entity != message.entity:
            return
        at = read_cursor(message.at)
        if at is None:
            return
        last = message.rows[-1]["id"] if message.rows else found.after
        self._change(
            replace(
                found,
                phase="done" if message.done else "hydrating",
                after=None if message.done else last,
                at=found.at if has_reached(found.at, message.at) else message.at,
                error=None,
            )
        )
        for row in message.rows:
            if at.seq >= self._tombstones.get((message.entity, row["id"]), 0):
                self._upsert(message.entity, row)
        self._judge_doubted(found, None if message.done else last, at.seq)
        self._end_hydration()

    def window(self, message: Window) -> None:
        """Take a window's list of ids; frames of an older version are ignored (rule 17)."""
        found = self.subscriptions.get(message.subscription)
        if found is None or found.definition.limit is None or message.version < found.version:
            return
        self._window_seqs[found.id] = seq_of(message.at)
        entity = found.definition.entity
        rows = self._base.get(entity, {})
        for row_id in (*(found.ids or ()), *message.ids):
            self._shown.note(entity, row_id, rows.get(row_id))
        # A window speaks for itself: it never waits for the cursor (rule 16).
        self._change(replace(found, phase="done", ids=message.ids, at=None, error=None))
        for row in message.rows:
            self._upsert(entity, row)
        self._sweep(entity, found.ids or [])

    def apply(self, batch: Mapping[str, Any]) -> str:
        """Apply a batch that follows the cursor: `applied`; else `duplicate` or `gap` (I25)."""
        if batch["after"] != self.cursor:
            return "duplicate" if has_reached(self.cursor, batch["through"]) else "gap"
        if not has_reached(batch["through"], batch["after"]):
            return "gap"
        self._has_more = batch["more"]
        if self._has_more:
            self._hold()
        for entry in batch["changes"]:
            if entry["kind"] == "refresh":
                self._refresh(entry)
            else:
                self._apply_change(entry)
        if self.is_hydrating:
            self._shown.is_state_changed = True
        if batch["through"] != batch["after"]:
            # The cursor stays before a refresh until its last page: none can be open behind it.
            self._refreshes.clear()
        self.cursor = batch["through"]
        self._writes.is_changed = True
        return "applied"

    def _apply_change(self, change: Mapping[str, Any]) -> None:
        entity, row_id, seq = change["entity"], change["row_id"], change["seq"]
        local = self._base.get(entity, {}).get(row_id)
        if change["kind"] == "delete":
            # A window that still lists a filtered row keeps it until its own next frame.
            if change.get("cause") == "filtered" and self._claims.is_listed(entity, row_id):
                if local is not None and local["_seq"] < seq:  # a frame may have brought a newer
                    self._claims.leave_to_windows(entity, row_id)
                return
            if self.is_hydrating:
                self._tombstones[entity, row_id] = seq
            if local is not None and local["_seq"] < seq:
                self._drop(entity, row_id)
        elif change.get("row") is not None and (local is None or seq > local["_seq"]):
            self._upsert(entity, change["row"])

    def _refresh(self, entry: Mapping[str, Any]) -> None:
        entity, where = entry["entity"], entry["where"]
        key = key_text([entry["seq"], entity, where])
        _, ids = self._refreshes.setdefault(key, (entity, set()))
        for row in entry["rows"]:
            ids.add(row["id"])
            self._upsert(entity, row)
        if not entry["done"]:
            return
        del self._refreshes[key]
        for row_id, row in list(self._base.get(entity, {}).items()):
            if row_id not in ids and has_values(row, where, entity, self._fields):
                self._drop(entity, row_id)

    def confirm(self, mutation: PendingMutation) -> None:
        """Take what an own mutation confirmed into windows.

        Their frames keep no step with the cursor: between the end of the overlay and the next
        frame the row would be missing (I28).
        """
        seq = 0 if isinstance(mutation.seq, msgspec.UnsetType) else mutation.seq
        for effect in mutation.effects:
            entity, row_id = effect.entity, effect.id
            windows = [
                one
                for one in self.subscriptions.values()
                if one.definition.entity == entity
                and one.definition.limit is not None
                # A frame of after it says all there is to say: the row may be gone again (I27).
                and self._window_seqs.get(one.id, 0) < seq
            ]
            local = self._base.get(entity, {}).get(row_id)
            if not windows:
                continue
            if effect.kind == "delete":
                if local is not None and local["_seq"] < seq:
                    self._drop(entity, row_id)
                continue
            row = mutation.value
            if not is_row(row) or row["id"] != row_id:
                continue
            for one in windows:
                is_new = one.ids is not None and row_id not in one.ids
                if is_new and self._claims.matches(one.id, row):
                    self._change(replace(one, ids=[*(one.ids or ()), row_id]))
            self._upsert(entity, row)

    def release(self) -> None:
        """End holding where nothing half done is left."""
        is_busy = self._has_more or (self._is_resyncing and self.is_hydrating)
        if self._shown.is_holding and not is_busy:
            self._is_resyncing = False
            self._shown.release()

    # --- rows

    def _hold(self) -> None:
        if not self._shown.is_holding:
            self._ready_before = {one for one in self.subscriptions if self.is_ready(one)}
            self._shown.hold()

    def _upsert(self, entity: str, row: WireRow) -> None:
        """Put a row unless the local one is newer; one that nothing wants leaves (rule 14)."""
        local = self._base.get(entity, {}).get(row["id"])
        if local is not None and local["_seq"] > row["_seq"]:
            return
        self._claims.settle(entity, row["id"])
        if not self._claims.keeps(entity, row):
            if local is not None:
                self._drop(entity, row["id"])
            return
        for open_entity, ids in self._refreshes.values():
            if open_entity == entity:
                ids.add(row["id"])
        completed = self._fields.complete(entity, row)
        if local is None or not is_same(dict(local), dict(completed)):
            self._put(entity, row["id"], completed)

    def _judge_doubted(self, subscription: Subscription, last: str | None, seq: int) -> None:
        """Drop the doubted rows that a page true at `seq` has passed over, up to id `last`."""
        entity = subscription.definition.entity
        rows = self._base.get(entity, {})
        for row_id in self._claims.passed(entity, subscription.after, last):
            row = rows[row_id]
            if row["_seq"] > seq or not self._claims.matches(subscription.id, row):
                continue
            self._claims.leave_to_windows(entity, row_id)
            if not self._claims.is_listed(entity, row_id):
                self._drop(entity, row_id)

    def _sweep(self, entity: str, ids: list[str]) -> None:
        rows = self._base.get(entity, {})
        for row_id in ids:
            row = rows.get(row_id)
            if row is not None and not self._claims.keeps(entity, row):
                self._drop(entity, row_id)

    def _put(self, entity: str, row_id: str, row: WireRow) -> None:
        rows = self._base.setdefault(entity, {})
        self._shown.note(entity, row_id, rows.get(row_id))
        rows[row_id] = row
        self._writes.put(entity, row_id, row)

    def _drop(self, entity: str, row_id: str) -> None:
        rows = self._base.get(entity, {})
        self._shown.note(entity, row_id, rows.get(row_id))
        rows.pop(row_id, None)
        self._claims.settle(entity, row_id)
        self._writes.delete(entity, row_id)

    def _accept(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.id] = subscription
        self._claims.compile(subscription, self._fields)

    def _change(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.id] = subscription
        self._writes.is_changed = self._shown.is_state_changed = True

    def _end_hydration(self) -> None:
        if not self.is_hydrating:
            self._tombstones.clear()
