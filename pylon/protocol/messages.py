"""Every message of the sync socket, one struct each, and the two unions.

Upstream frames are refused when they have unknown members. What does not live here: encoding
and size limits (`codec`), and what the messages mean (`SPEC.md`).
"""

from __future__ import annotations

from typing import Any

import msgspec


class _Upstream(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    omit_defaults=True,
):
    pass


class _Downstream(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


class HaveAfter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hydrated up to this row id; the pages behind it are still missing."""

    after: str


class SubscriptionSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What a client wants kept current: rows of an entity, or the value of a query function."""

    id: str
    entity: str | None = None
    where: dict[str, Any] | None = None
    order: list[str] | None = None
    limit: int | None = None
    include: list[str] | None = None
    have: bool | HaveAfter | None = None
    version: int | None = None
    fn: str | None = None
    args: dict[str, Any] | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call of a mutation under its operation id."""

    op_id: str
    fn: str
    args: dict[str, Any] = {}


# --- from the client ---------------------------------------------------------------------


class Hello(_Upstream, frozen=True, kw_only=True, tag="hello"):
    """The first frame: who this replica is and how far it has stored."""

    protocol: int
    client_id: str
    cursor: str | None = None
    schema: str | None = None
    subscriptions: list[SubscriptionSpec] = []


class Subscribe(_Upstream, frozen=True, kw_only=True, tag="subscribe"):
    """One more subscription; members as in SubscriptionSpec."""

    id: str
    entity: str | None = None
    where: dict[str, Any] | None = None
    order: list[str] | None = None
    limit: int | None = None
    include: list[str] | None = None
    have: bool | HaveAfter | None = None
    version: int | None = None
    fn: str | None = None
    args: dict[str, Any] | None = None


class Unsubscribe(_Upstream, frozen=True, kw_only=True, tag="unsubscribe"):
    """One subscription less; answered by `unsubscribed`."""

    id: str


class Push(_Upstream, frozen=True, kw_only=True, tag="push"):
    """Operations, in order; answered by `results`."""

    request_id: str
    operations: list[Operation]
    client_id: str | None = None
    atomic: bool = False


class Call(_Upstream, frozen=True, kw_only=True, tag="call"):
    """A query or an action; answered by `returned`."""

    request_id: str
    fn: str
    args: dict[str, Any] = {}


class Cancel(_Upstream, frozen=True, kw_only=True, tag="cancel"):
    """The caller no longer wants the answer of a call."""

    request_id: str


class Stored(_Upstream, frozen=True, kw_only=True, tag="stored"):
    """The replica is durably stored up to here; `pending` operations wait in it."""

    cursor: str
    pending: int | None = None


class Ping(_Upstream, frozen=True, kw_only=True, tag="ping"):
    """Answered by `pong`."""


Upstream = Hello | Subscribe | Unsubscribe | Push | Call | Cancel | Stored | Ping

# --- from the server ---------------------------------------------------------------------


class Welcome(_Downstream, frozen=True, kw_only=True, tag="welcome"):
    """The answer to `hello`; `head` is the starting cursor where `hello` had none."""

    connection_id: str
    head: str
    user_id: str | None
    roles: list[str]
    schema: str
    heartbeat_s: float
    limits: dict[str, int]


class Snapshot(_Downstream, frozen=True, kw_only=True, tag="snapshot"):
    """A page of current rows, each true at `at`; the last page of a subscription has `done`."""

    subscription: str
    entity: str
    rows: list[dict[str, Any]]
    at: str
    done: bool
    total: int | None = None


class Changes(_Downstream, frozen=True, kw_only=True, tag="changes"):
    """A batch (see `protocol.change.ChangeBatch`)."""

    after: str
    through: str
    changes: list[dict[str, Any]]
    more: bool


class Window(_Downstream, frozen=True, kw_only=True, tag="window"):
    """The whole ordered list of ids of a subscription with `limit`, and its new or changed rows."""

    subscription: str
    ids: list[str]
    rows: list[dict[str, Any]]
    at: str
    version: int


class LiveValue(_Downstream, frozen=True, kw_only=True, tag="value"):
    """The result of a live query function, sent only when it changed."""

    subscription: str
    value: Any
    at: str


class OperationResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one operation: applied, rejected, duplicate or retry."""

    op_id: str
    status: str
    seq: int | None
    value: Any | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | None = None


class Results(_Downstream, frozen=True, kw_only=True, tag="results"):
    """One result per operation of a push, in order."""

    request_id: str
    results: list[OperationResult]
    head: str


class Part(_Downstream, frozen=True, kw_only=True, tag="part"):
    """One value of a streaming action."""

    request_id: str
    value: Any


class Returned(_Downstream, frozen=True, kw_only=True, tag="returned"):
    """The answer of a call: a value or an error."""

    request_id: str
    value: Any | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | None = None


class Resync(_Downstream, frozen=True, kw_only=True, tag="resync"):
    """Drop base rows and cursor, keep pending operations, start again from `head`."""

    reason: str
    head: str


class SchemaChanged(_Downstream, frozen=True, kw_only=True, tag="schema"):
    """The app was reloaded; this is the new manifest hash."""

    schema: str


class GoAway(_Downstream, frozen=True, kw_only=True, tag="goaway"):
    """The server closes on purpose: reconnect after `retry_ms`."""

    reason: str
    retry_ms: int


class Unsubscribed(_Downstream, frozen=True, kw_only=True, tag="unsubscribed"):
    """The id may be used again."""

    id: str


class ErrorMessage(_Downstream, frozen=True, kw_only=True, tag="error"):
    """Something asked for failed; the socket stays open."""

    error: dict[str, Any]
    request_id: str | None = None
    subscription: str | None = None


class Pong(_Downstream, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""


Downstream = (
    Welcome
    | Snapshot
    | Changes
    | Window
    | LiveValue
    | Results
    | Part
    | Returned
    | Resync
    | SchemaChanged
    | GoAway
    | Unsubscribed
    | ErrorMessage
    | Pong
)
