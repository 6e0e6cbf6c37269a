"""What a connection wants kept current: rows by a filter, or in a window; or a function's value.

Pure. What does not live here: which rows the policy lets through (`view`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylon import jsonvalue, limits, limits_live
from pylon.app.definition import AppDefinition
from pylon.errors import InvalidArgument, PylonError
from pylon.identity import Identity
from pylon.ids import is_id
from pylon.policy.compiled import CompiledFilter
from pylon.protocol.messages import HaveAfter, Subscribe, SubscriptionSpec
from pylon.schema.model import Access, Entity
from pylon.server.auth.scopes import demand_entity
from pylon.server.functions.live_run import followed_function
from pylon.server.functions.queries import entity_of, filter_of, order_of, unusable_fields
from pylon.server.storage.select import OrderTerm
from pylon.server.sync.reach import Reach, Root, reaches_of


@dataclass(slots=True)
class Subscription:
    """One subscription of one connection and how far its rows were sent."""

    id: str
    entity: Entity
    filter: CompiledFilter
    #: Canonical text of the filter: equal texts select equal rows.
    filter_key: str
    order: tuple[OrderTerm, ...]
    limit: int | None
    version: int
    #: Rows up to this id were sent; None once all were.
    after: str | None = ""
    #: Number of rows expected, once counted.
    total: int | None = None
    #: What a window last listed: id to what tells that the row was sent as it is.
    listed: dict[str, Hashable] | None = None
    #: Its client lists what it wrote itself: the next frame is sent though it is as before.
    is_doubtful: bool = False
    #: Paths of relations; and what they lead to, parents first.
    include: tuple[str, ...] = ()
    reaches: tuple[Reach, ...] = ()
    #: Of whose rows pages are sent: its own, or those that so many of the hops lead to.
    part: int = 0

    @property
    def is_window(self) -> bool:
        """Tell whether it is a window, which is no part of the cursor's promise."""
        return self.limit is not None

    @property
    def is_hydrated(self) -> bool:
        """Tell whether all its rows were sent."""
        return self.after is None

    def page_sent(self, last_id: str | None) -> None:
        """Note how far its pages were sent; None where those of one entity are done."""
        if last_id is None and self.part < len(self.reaches):
            self.part += 1
            last_id = ""
        self.after = last_id

    def begin(self) -> None:
        """Have all pages sent, again."""
        self.listed = None
        self.part = 1 if self.is_window else 0
        self.after = None if self.is_window and not self.reaches else ""


@dataclass(frozen=True, slots=True)
class FunctionSubscription:
    """One subscription of one connection to the value of a query function."""

    id: str
    fn: str
    args: Mapping[str, Any]
    version: int
    #: What its arguments take.
    args_bytes: int = 0


def make_function_subscription(
    spec: SubscriptionSpec | Subscribe, definition: AppDefinition, identity: Identity
) -> FunctionSubscription:
    """Return the checked subscription to a function; raises as `followed_function`."""
    _check_id(spec.id)
    fn, args = spec.fn, spec.args or {}
    assert fn is not None
    for name in ("entity", "where", "order", "limit", "include", "have"):
        if getattr(spec, name) is not None:
            raise InvalidArgument(f"a function has args, and no {name}", field=name)
    args_bytes = len(jsonvalue.encode(args))
    if args_bytes > limits_live.LIVE_ARGS_BYTES_MAX:
        most = limits_live.LIVE_ARGS_BYTES_MAX
        raise InvalidArgument(
            f"the arguments of a live function have at most {most} bytes", field="args"
        )
    followed_function(definition, identity, fn, args)
    return FunctionSubscription(spec.id, fn, args, spec.version or 0, args_bytes)


def _check_id(subscription_id: str) -> None:
    if not is_id(subscription_id):
        raise InvalidArgument("a subscription's id is 1-64 of A-Za-z0-9_-", field="id")


def make_subscription(
    spec: SubscriptionSpec | Subscribe, definition: AppDefinition, identity: Identity, *,
    is_resuming: bool,
) -> Subscription:  # fmt: skip
    """Return the checked subscription; raises InvalidArgument or NotFound.

    Args:
        spec: what the client asks for.
        definition: the app.
        identity: who asks.
        is_resuming: the connection continues a cursor, so that `have` counts.
    """
    _check_id(spec.id)
    if spec.fn is not None:
        raise InvalidArgument(
            "a function's value is no part of a batch", field="fn",
            hint="POST /api/fn/NAME asks once; a socket and GET /api/sync/events follow it",
        )  # fmt: skip
    if spec.entity is None:
        raise InvalidArgument("a subscription names an entity or a function", field="entity")
    if spec.args is not None:
        raise InvalidArgument("an entity has a filter, and no args", field="args")
    entity = entity_of(definition, spec.entity)
    demand_entity(identity, entity.name)
    if not entity.sync:
        raise InvalidArgument(f"{entity.name} is kept off the live path", field="entity")
    if spec.limit is not None and not 1 <= spec.limit <= limits.WINDOW_ROWS_MAX:
        raise InvalidArgument(f"limit is 1 to {limits.WINDOW_ROWS_MAX}", field="limit")
    unusable = unusable_fields(definition, identity, entity)
    made = Subscription(
        id=spec.id,
        entity=entity,
        filter=filter_of(entity, spec.where, unusable),
        filter_key=jsonvalue.canonical_json(spec.where or {}).decode(),
        order=order_of(entity, spec.order, unusable),
        limit=spec.limit,
        version=spec.version or 0,
    )
    made.reaches = _reaches(made, definition, identity, spec.include)
    made.include = tuple(spec.include or ())
    made.begin()
    if is_resuming and spec.have is True:
        made.after = None
    elif is_resuming and isinstance(spec.have, HaveAfter) and not made.is_window:
        made.after = spec.have.after
    return made


def _reaches(
    one: Subscription, definition: AppDefinition, identity: Identity, include: Sequence[str] | None
) -> tuple[Reach, ...]:
    policy = definition.policies.get(one.entity.name, Access.READ)
    root = Root(one.entity, policy, one.filter, one.filter_key, one.order, one.limit)
    return reaches_of(definition, identity, root, None if include is None else list(include))


def still_compiles(
    subscription: Subscription, definition: AppDefinition, identity: Identity
) -> Subscription | None:
    """Return the subscription over a new definition, or None where it no longer compiles."""
    try:
        made = recompiled(subscription, definition, identity)
    except PylonError:
        return None
    # Where a path leads elsewhere than before, what was sent of it is wrong.
    is_same = [one.key for one in made.reaches] == [one.key for one in subscription.reaches]
    return made if is_same else None


def recompiled(
    subscription: Subscription, definition: AppDefinition, identity: Identity
) -> Subscription:
    """Return the subscription over another definition or caller; raises as `make_subscription`."""
    entity = entity_of(definition, subscription.entity.name)
    where = jsonvalue.decode_trusted(subscription.filter_key)
    unusable = unusable_fields(definition, identity, entity)
    names = [f"{'-' if one.descending else ''}{one.field}" for one in subscription.order]
    made = Subscription(
        id=subscription.id, entity=entity, filter=filter_of(entity, where or None, unusable),
        filter_key=subscription.filter_key, order=order_of(entity, names, unusable),
        limit=subscription.limit, version=subscription.version, after=subscription.after,
        total=subscription.total, listed=subscription.listed, part=subscription.part,
        is_doubtful=subscription.is_doubtful, include=subscription.include,
    )  # fmt: skip
    made.reaches = _reaches(made, definition, identity, subscription.include or None)
    return made
