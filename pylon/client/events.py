"""What the machine is told and what it asks for: events and commands, as plain values."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.client.pending import PendingMutation, Settlement
from pylon.client.rows import Save, StoredReplica
from pylon.client.subscription import Definition
from pylon.protocol.change import ChangeBatch
from pylon.protocol.manifest import Manifest
from pylon.protocol.messages import Downstream, SubscriptionSpec, Upstream

Unset = msgspec.UnsetType
Error = dict[str, Any]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Started(_Event, frozen=True, kw_only=True, tag="started"):
    """What the stores held; `principal` is whose it is, unset where nothing was stored."""

    client_id: str
    stored: StoredReplica | Unset = msgspec.UNSET
    principal: str | Unset | None = msgspec.UNSET
    pending: list[PendingMutation] = []
    manifest: Manifest | Unset = msgspec.UNSET


class Opened(_Event, frozen=True, kw_only=True, tag="opened"):
    """The socket is open."""


class Received(_Event, frozen=True, kw_only=True, tag="received"):
    """A frame came."""

    message: Downstream


class Lost(_Event, frozen=True, kw_only=True, tag="lost"):
    """The socket is gone, or never came to be."""

    code: int | Unset = msgspec.UNSET


class Refused(_Event, frozen=True, kw_only=True, tag="refused"):
    """The server refused the caller before there was a socket: the session is over."""

    error: Error


class Fired(_Event, frozen=True, kw_only=True, tag="fired"):
    """A timer ran out: welcome, reconnect, heartbeat, healthy, push or ack."""

    timer: str


class NetworkChanged(_Event, frozen=True, kw_only=True, tag="network"):
    """The machine got or lost its network."""

    is_online: bool


class Subscribed(_Event, frozen=True, kw_only=True, tag="subscribed"):
    """The app asks for rows."""

    id: str
    definition: Definition


class Followed(_Event, frozen=True, kw_only=True, tag="followed"):
    """The app asks for the value of a query function."""

    id: str
    fn: str
    args: dict[str, Any]


class Unsubscribed(_Event, frozen=True, kw_only=True, tag="unsubscribed"):
    """The app does not want them any more."""

    id: str


class Mutated(_Event, frozen=True, kw_only=True, tag="mutated"):
    """The app made a mutation."""

    mutation: PendingMutation


class Discarded(_Event, frozen=True, kw_only=True, tag="discarded"):
    """The app gives a mutation up that is not decided yet."""

    op_id: str


class Pulled(_Event, frozen=True, kw_only=True, tag="pulled"):
    """A pull was answered."""

    id: int
    batch: ChangeBatch


class PullFailed(_Event, frozen=True, kw_only=True, tag="pull_failed"):
    """A pull was refused or did not get through."""

    id: int
    error: Error


class PendingLoaded(_Event, frozen=True, kw_only=True, tag="pending_loaded"):
    """The store gave a principal's mutations."""

    principal: str | None
    pending: list[PendingMutation]


class Saved(_Event, frozen=True, kw_only=True, tag="saved"):
    """Everything through this cursor is stored durably."""

    cursor: str | None


class ManifestKnown(_Event, frozen=True, kw_only=True, tag="manifest"):
    """The app's description was fetched."""

    manifest: Manifest


class IdentityChanged(_Event, frozen=True, kw_only=True, tag="identity"):
    """The caller signed in or out here: whoever he is now, the next welcome says."""


class Closed(_Event, frozen=True, kw_only=True, tag="closed"):
    """The app is done."""


Event = (
    Started
    | Opened
    | Received
    | Lost
    | Refused
    | Fired
    | NetworkChanged
    | Subscribed
    | Followed
    | Unsubscribed
    | Mutated
    | Discarded
    | Pulled
    | PullFailed
    | PendingLoaded
    | Saved
    | ManifestKnown
    | IdentityChanged
    | Closed
)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state, how many mutations wait, and what went wrong last."""

    state: str
    pending: int
    error: Error | None


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who the server says the caller is."""

    user_id: str | None
    roles: list[str]


class Connect(_Command, frozen=True, kw_only=True, tag="connect"):
    """Open a socket; any other is left."""


class Disconnect(_Command, frozen=True, kw_only=True, tag="disconnect"):
    """Close the socket."""

    code: int
    reason: str


class Send(_Command, frozen=True, kw_only=True, tag="send"):
    """Send a frame."""

    message: Upstream


class SetTimer(_Command, frozen=True, kw_only=True, tag="set_timer"):
    """Start a timer, anew where it runs."""

    timer: str
    ms: int


class ClearTimer(_Command, frozen=True, kw_only=True, tag="clear_timer"):
    """Stop a timer."""

    timer: str


class Pull(_Command, frozen=True, kw_only=True, tag="pull"):
    """Ask for a batch by HTTP."""

    id: int
    cursor: str
    subscriptions: list[SubscriptionSpec]


class SaveReplica(_Command, frozen=True, kw_only=True, tag="save"):
    """Write rows, states and cursor in one transaction."""

    save: Save


class Wipe(_Command, frozen=True, kw_only=True, tag="wipe"):
    """Everything of another principal goes, at once; what comes next is this one's."""

    principal: str | None


class LoadPending(_Command, frozen=True, kw_only=True, tag="load_pending"):
    """Read a principal's mutations."""

    principal: str | None


class SavePending(_Command, frozen=True, kw_only=True, tag="save_pending"):
    """Keep a mutation."""

    mutation: PendingMutation


class DropPending(_Command, frozen=True, kw_only=True, tag="drop_pending"):
    """Forget a mutation: it is decided and in the base."""

    op_id: str


class Settle(_Command, frozen=True, kw_only=True, tag="settle"):
    """Tell who made it how a mutation ended."""

    settlement: Settlement


class FetchManifest(_Command, frozen=True, kw_only=True, tag="fetch_manifest"):
    """The app's description is another: fetch it."""


class ForgetSession(_Command, frozen=True, kw_only=True, tag="forget_session"):
    """Drop a cookie that the server does not know any more."""


class CallerKnown(_Command, frozen=True, kw_only=True, tag="caller"):
    """Say who the caller is."""

    caller: Caller


class Publish(_Command, frozen=True, kw_only=True, tag="publish"):
    """What is shown may have changed: these ids by entity, and states of subscriptions."""

    changes: list[tuple[str, list[str]]]


class StatusChanged(_Command, frozen=True, kw_only=True, tag="status"):
    """Say the new status."""

    status: Status


Command = (
    Connect
    | Disconnect
    | Send
    | SetTimer
    | ClearTimer
    | Pull
    | SaveReplica
    | Wipe
    | LoadPending
    | SavePending
    | DropPending
    | Settle
    | FetchManifest
    | ForgetSession
    | CallerKnown
    | Publish
    | StatusChanged
)
