"""The machine: what to do about everything that happens to a replica.

Pure: `step(event)` returns commands, and holds no socket, store, clock or chance but the random
numbers handed in.

    offline --connect--> connecting --welcome--> hydrating --all ready--> live
    live, hydrating --resync--> resyncing --all ready--> live
    any but closed --socket lost--> offline;  any --closed--> closed

What does not live here: rows and subscriptions (`replica`), the overlay (`pending`), how the
commands are carried out (`client`). The browser's machine is the same one in TypeScript; both
reproduce the transcripts in tests/vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from pylon.client import events as ev
from pylon.client.acknowledgement import ACK_MS, Acknowledgement
from pylon.client.catch_up import CatchUp, Move, PullNext
from pylon.client.delivery import Delivery, DeliveryOutcome
from pylon.client.fields import Fields
from pylon.client.following import Following
from pylon.client.pending import Pending, PendingMutation, Settlement
from pylon.client.subscription import has_reached, read_cursor, seq_of
from pylon.client.view import View
from pylon.protocol import messages as m
from pylon.protocol.manifest import Manifest
from pylon.protocol.version import PROTOCOL_VERSION

#: Resyncs within one connection before starting over.
RESYNCS_MAX: Final = 3

_EARLY = (m.Welcome, m.ErrorMessage, m.GoAway)


class Machine(Following):
    """One replica's decisions."""

    def __init__(self, random: Callable[[], float]) -> None:
        super().__init__(random)
        self.pending = Pending()
        self.view = View(self.replica, self.pending)
        self._delivery = Delivery(self.pending, random)
        self._catch_up = CatchUp(self.replica)
        self._client_id = ""
        #: Whose rows these are; UNSET until somebody said so.
        self._principal: str | msgspec.UnsetType | None = msgspec.UNSET
        self._schema: str | None = None
        self.status = ev.Status(state="offline", pending=0, error=None)
        self._has_history = False
        self._target: str | None = None
        self._epoch: str | None = None
        self._resyncs = 0
        self._acknowledgement = Acknowledgement()

    def step(self, event: ev.Event) -> list[ev.Command]:
        """Take what happened; return what to do about it."""
        self._commands = []
        if self.state != "closed":
            self._take(event)
            self._finish()
        return self._commands

    def _take(self, event: ev.Event) -> None:  # noqa: C901  # one line for each event
        match event:
            case ev.Started():
                self._start(event)
            case ev.Opened():
                self._open()
            case ev.Received(message=message):
                self._receive(message)
            case ev.Lost(code=code):
                self._lose(code)
            case ev.Refused(error=error):
                self._refuse(error)
            case ev.Fired(timer=timer):
                self._fire(timer)
            case ev.NetworkChanged(is_online=is_online):
                self._change_network(is_online=is_online)
            case ev.Subscribed():
                self._subscribe(event)
            case ev.Followed():
                self._follow(event)
            case ev.Unsubscribed(id=subscription_id):
                self._unsubscribe(subscription_id)
            case ev.Mutated(mutation=mutation):
                self._mutate(mutation)
            case ev.Discarded(op_id=op_id):
                self._settle(self._delivery.discarded(op_id))
            case ev.Pulled(id=pull_id, batch=batch):
                self._move(self._catch_up.pulled(pull_id, msgspec.structs.asdict(batch)))
            case ev.PullFailed(id=pull_id, error=error):
                self._pull_failed(pull_id, error)
            case ev.PendingLoaded(principal=principal, pending=pending):
                self._take_pending(principal, pending)
            case ev.Saved(cursor=cursor):
                self._acknowledgement.cursor = cursor
                self._acknowledge()
            case ev.ManifestKnown(manifest=manifest):
                self._use_manifest(manifest)
            case ev.IdentityChanged():
                self._change_identity()
            case ev.Closed():
                self._close(None)

    # --- connecting

    def _start(self, event: ev.Started) -> None:
        self._client_id = event.client_id
        self._principal = event.principal
        if isinstance(event.manifest, Manifest):
            self._use_manifest(event.manifest)
        if not isinstance(event.stored, msgspec.UnsetType):
            self.replica.load(event.stored)
            found = read_cursor(event.stored.cursor)
            self._epoch = None if found is None else found.epoch
        for mutation in event.pending:
            self.pending.add(mutation)
        self._connect()

    def _use_manifest(self, manifest: Manifest) -> None:
        self._schema = manifest.hash
        self.replica.use_fields(Fields(manifest))

    def _open(self) -> None:
        self._is_open = True
        self._has_history = self.replica.cursor is not None
        self._send(
            m.Hello(
                protocol=PROTOCOL_VERSION,
                client_id=self._client_id,
                cursor=self.replica.cursor,
                schema=self._schema,
                subscriptions=[*self._specs(), *self.values.specs()],
            )
        )

    def _welcome(self, message: m.Welcome) -> None:
        principal = message.user_id
        self._commands.append(
            ev.CallerKnown(caller=ev.Caller(user_id=principal, roles=message.roles))
        )
        if self._principal != principal:
            is_other = self._principal is not msgspec.UNSET
            self._adopt(principal)
            # What this hello said was of somebody else's replica: say it again, empty-handed.
            if is_other and self._has_history:
                self._drop("identity changed")
                self._connect()
                return
        self.replica.reveal()
        self._establish(message.heartbeat_s)
        if self.replica.cursor is None:
            self._enter_lineage(message.head)
            self.replica.start_at(message.head)
        self._target = message.head
        self.state = "resyncing" if self.replica.is_stale else "hydrating"
        if message.schema != self._schema:
            self._commands.append(ev.FetchManifest())

    def _adopt(self, principal: str | None) -> None:
        """Make the replica this principal's: nothing of another is left in it."""
        if self._principal is not msgspec.UNSET:
            self._forget()
        self._principal = principal
        self._commands.append(ev.Wipe(principal=principal))
        bound = self.pending.bind(principal)
        self._commands += [ev.SavePending(mutation=one) for one in bound]
        self._commands.append(ev.LoadPending(principal=principal))
        self.pending.expect_stored()

    def _forget(self) -> None:
        """Drop the rows of whoever it was; his mutations stay his, in the store (I33)."""
        self.replica.reset(None, is_kept=False)
        self.values.reset()
        error = {
            "code": "UNAUTHENTICATED",
            "message": "the caller changed before this was decided; it is kept for its author",
        }
        for one in self.pending.all():
            self._commands.append(ev.Settle(settlement=Settlement(op_id=one.op_id, error=error)))
        self.pending.clear()
        self._delivery.interrupt()
        self._principal = msgspec.UNSET

    def _lose(self, code: int | msgspec.UnsetType) -> None:
        if self.state == "offline" and not self._is_open:
            return
        self._drop(None)
        if code == 4001:
            self._error = {"code": "UNAUTHENTICATED", "message": "the session ended"}
        # The server could not read what we hold: hold nothing rather than say it for ever.
        if code == 4400 and self._has_history:
            self.replica.reset(None, is_kept=True)
        # With nobody there, what is stored is all there is to show.
        if self._principal is not msgspec.UNSET:
            self.replica.reveal()
        self._retry()

    def _interrupt(self) -> None:
        self._delivery.interrupt()
        self._catch_up.reset()
        self._resyncs = 0
        self._acknowledgement.reset()
        self.replica.interrupt()

    def _refuse(self, error: dict[str, Any]) -> None:
        self._drop(None)
        self._error = error
        self._forget()
        self._commands += [ev.Wipe(principal=None), ev.ForgetSession()]
        self._retry()

    def _change_identity(self) -> None:
        self._forget()
        self._commands.append(ev.Wipe(principal=None))
        self._error = None
        self._drop("identity changed")
        self._connect()

    def _fire(self, timer: str) -> None:
        match timer:
            case "welcome":
                self._restart("no welcome")
            case "reconnect" if self.state == "offline":
                self._connect()
            case "heartbeat" if self._is_welcome:
                self._beat()
            case "healthy":
                self._attempt = self._resyncs = 0
            case "push":
                self._delivery.resume()
            case "ack":
                self._acknowledgement.resume()
                self._acknowledge()
            case _:
                pass

    # --- what the server says

    def _receive(self, message: m.Downstream) -> None:
        if not self._is_open:
            return
        self._was_heard = True
        if not self._is_welcome and not isinstance(message, _EARLY):
            return
        match message:
            case m.Welcome():
                self._welcome(message)
            case m.Snapshot():
                self.replica.page(message)
            case m.Changes():
                self._move(self._catch_up.follow(msgspec.structs.asdict(message)))
            case m.Window():
                self.replica.window(message)
            case m.LiveValue():
                self.values.take(message)
            case m.Results() if self._delivery.is_awaiting(message.request_id):
                self._settle(self._delivery.answered(message))
            case m.Resync():
                self._resync(message)
            case m.SchemaChanged() if message.schema != self._schema:
                self._commands.append(ev.FetchManifest())
            case m.GoAway():
                self._go_away = message.retry_ms if math.isfinite(message.retry_ms) else 0
            case m.ErrorMessage():
                self._take_error(message)
            case _:
                pass  # nothing was asked for, or nothing is left to do

    def _move(self, move: Move) -> None:
        match move:
            case None:
                pass
            case PullNext(id=pull_id, cursor=cursor):
                subscriptions = self._specs()
                self._commands.append(
                    ev.Pull(id=pull_id, cursor=cursor, subscriptions=subscriptions)
                )
            case _:
                self._restart("gap")

    def _pull_failed(self, pull_id: int, error: dict[str, Any]) -> None:
        if not self._catch_up.is_awaiting(pull_id):
            return
        self._error = error
        if error.get("code") == "RESYNC_REQUIRED":
            self.replica.reset(None, is_kept=True)
        self._restart("pull failed")

    def _resync(self, message: m.Resync) -> None:
        self._resyncs += 1
        self._catch_up.reset()
        # Old rows stay in sight only while they are the same caller's and of the same form (12).
        is_kept = message.reason not in ("identity_changed", "schema_changed")
        self.replica.reset(message.head, is_kept=is_kept)
        if not is_kept:
            self.values.reset()
        self._enter_lineage(message.head)
        self._target = message.head
        self.state = "resyncing"
        if self._resyncs > RESYNCS_MAX:
            self._restart("too many resyncs")

    def _enter_lineage(self, head: str) -> None:
        """End what another lineage had confirmed: it waits for a number that never comes."""
        found = read_cursor(head)
        epoch = None if found is None else found.epoch
        if self._epoch is not None and self._epoch != epoch:
            self._drop_pending(one.op_id for one in self.pending.settle(2**53))
        self._epoch = epoch

    def _take_error(self, message: m.ErrorMessage) -> None:
        error = message.error
        if error.get("code") == "UPGRADE_REQUIRED":
            self._close(error)
        elif message.subscription is not None and message.subscription in self.values:
            self.values.fail(message.subscription, error)
        elif message.subscription is not None:
            self.replica.fail(message.subscription, error)
        elif message.request_id is not None and self._delivery.is_awaiting(message.request_id):
            self._settle(self._delivery.refused(error))
        else:
            self._error = error

    # --- what the app does

    def _mutate(self, mutation: PendingMutation) -> None:
        bound = msgspec.structs.replace(mutation, principal=self._principal)
        if self.pending.add(bound) and bound.principal is not msgspec.UNSET:
            self._commands.append(ev.SavePending(mutation=bound))

    def _take_pending(self, principal: str | None, pending: list[PendingMutation]) -> None:
        if principal == self._principal:
            self.pending.take_stored(pending)

    def _settle(self, outcome: DeliveryOutcome) -> None:
        for settlement in outcome.settlements:
            self._commands.append(ev.Settle(settlement=settlement))
            if settlement.error is not msgspec.UNSET:
                self._drop_pending([settlement.op_id])
        if outcome.pause_ms is not None:
            self._set_timer("push", outcome.pause_ms)

    def _drop_pending(self, op_ids: Iterable[str]) -> None:
        self._commands += [ev.DropPending(op_id=one) for one in op_ids]

    def _acknowledge(self) -> None:
        if self._is_welcome and (stored := self._acknowledgement.next(len(self.pending))):
            self._send(stored)
            self._set_timer("ack", ACK_MS)

    # --- after each event

    def _finish(self) -> None:
        """Draw what follows from the new state: views, stores, status and the next push."""
        self.replica.release()
        shown = self.replica.shown_cursor
        if shown is not None:
            settled = self.pending.settle(seq_of(shown))
            for mutation in settled:
                self.replica.confirm(mutation)
            self._drop_pending(one.op_id for one in settled)
        is_caught_up = shown is not None and self._is_welcome and has_reached(shown, self._target)
        is_arriving = self.state in ("hydrating", "resyncing")
        if is_caught_up and is_arriving and not self.replica.is_hydrating:
            self.state = "live"
            self._error = None
        if (save := self.replica.take_save()) is not None:
            self._commands.append(ev.SaveReplica(save=save))
        changes, is_changed = self.view.take_changes(), self.values.take_change()
        if changes is not None or is_changed:
            self._commands.append(ev.Publish(changes=changes or []))
        status = ev.Status(state=self.state, pending=len(self.pending), error=self._error)
        if status != self.status:
            self.status = status
            self._commands.append(ev.StatusChanged(status=status))
        push = self._delivery.next(self._client_id) if self._can_push else None
        if push is not None:
            self._send(push)

    @property
    def _can_push(self) -> bool:
        return self._is_welcome and self._go_away is None
