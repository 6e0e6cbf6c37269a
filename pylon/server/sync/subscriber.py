"""One connection's machine: what was promised to it, and what to read for it next.

Pure: events in, commands out. A subscriber greets, hydrates its subscriptions page by page,
catches up from its cursor, and is then live. What does not live here: sockets, SQL, and the
order of frames among connections (`hub`).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from enum import StrEnum

from pylon import limits
from pylon.errors import InvalidArgument, RateLimited
from pylon.protocol.change import Cursor, ResyncReason
from pylon.server.sync.subscription import FunctionSubscription, Subscription


class Phase(StrEnum):
    """Where a connection stands."""

    GREETING = "greeting"
    HYDRATING = "hydrating"
    CATCHING_UP = "catching_up"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Read the next page of a subscription, after this id."""

    subscription_id: str
    after: str


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """Run a window's query again."""

    subscription_id: str


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Read the log on from this seq."""

    seq: int


Command = ReadPage | ReadWindow | ReadLog


@dataclass(slots=True)
class Subscriber:
    """The state of one connection; `cursor` is what was handed to its transport."""

    epoch: str
    phase: Phase = Phase.GREETING
    cursor: int = 0
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    #: Those to the values of functions; their ids are of the same kind.
    functions: dict[str, FunctionSubscription] = field(default_factory=dict)
    #: The version of each subscription; a higher one takes its place.
    versions: dict[str, int] = field(default_factory=dict)
    dirty_windows: list[str] = field(default_factory=list)
    #: How often it started over: what was asked for before is not sent after.
    starts: int = 0
    subscriptions_max: int = limits.SUBSCRIPTIONS_MAX
    #: Entities of which all that is in view is sent anew: an `include` led to them and is gone.
    anew: frozenset[str] = frozenset()

    def greet(
        self, cursor: Cursor | None, head: int, horizon: int, rewritten: int = 0,
        identity: int = 0,
    ) -> ResyncReason | None:  # fmt: skip
        """Take a `hello`; returns why its cursor cannot be continued, or None.

        Without a cursor the connection starts at the head of this moment. `rewritten` and
        `identity` are the numbers of the last migration that rewrote rows and of the last change
        of the caller's roles: cursors from before them start over.
        """
        assert self.phase is Phase.GREETING
        reason = None
        if cursor is None:
            self.cursor = head
        elif cursor.epoch != self.epoch:
            reason = ResyncReason.EPOCH_CHANGED
        elif cursor.seq > head:
            reason = ResyncReason.CURSOR_AHEAD
        elif cursor.seq < rewritten:
            reason = ResyncReason.SCHEMA_CHANGED
        elif cursor.seq < identity:
            reason = ResyncReason.IDENTITY_CHANGED
        elif cursor.seq < horizon:
            reason = ResyncReason.CURSOR_TOO_OLD
        else:
            self.cursor = cursor.seq
        if reason is not None:
            self.cursor = head
        self.phase = Phase.CATCHING_UP if self.cursor < head else Phase.LIVE
        return reason

    def add(self, subscription: Subscription) -> Subscription | None:
        """Take a subscription; it takes part in changes from this moment on.

        Returns the one it replaces (a higher version of the same id). Raises RateLimited over
        the limit, InvalidArgument for an id that is in use.
        """
        replaced = self.subscriptions.get(subscription.id)
        self._demand_room(subscription, self.functions, is_known=replaced is not None)
        self._forget_included(replaced)
        self.subscriptions[subscription.id] = subscription
        self.versions[subscription.id] = subscription.version
        if subscription.is_window:
            self.dirty_windows.append(subscription.id)
        return replaced

    def _demand_room(
        self, one: Subscription | FunctionSubscription, others: Container[str], *, is_known: bool
    ) -> None:
        is_newer = is_known and one.version > self.versions.get(one.id, 0)
        if one.id in others or (is_known and not is_newer):
            raise InvalidArgument(
                f"the subscription {one.id} exists", field="id",
                hint="unsubscribe first, or send a higher version",
            )  # fmt: skip
        if not is_known and self.count >= self.subscriptions_max:
            raise RateLimited(f"a socket has at most {self.subscriptions_max} subscriptions")

    @property
    def count(self) -> int:
        """Return how many subscriptions there are, of both kinds."""
        return len(self.subscriptions) + len(self.functions)

    def add_function(self, one: FunctionSubscription) -> None:
        """Take a subscription to a function; raises as `add`."""
        self._demand_room(one, self.subscriptions, is_known=one.id in self.functions)
        self.functions[one.id] = one
        self.versions[one.id] = one.version

    def remove_function(self, subscription_id: str) -> bool:
        """Drop a subscription to a function; tells whether it was there."""
        if self.functions.pop(subscription_id, None) is None:
            return False
        self.versions.pop(subscription_id, None)
        return True

    def remove(self, subscription_id: str) -> bool:
        """Drop a subscription to rows; tells whether it was there."""
        if subscription_id in self.functions:
            return False
        self.versions.pop(subscription_id, None)
        removed = self.subscriptions.pop(subscription_id, None)
        self._forget_included(removed)
        return removed is not None

    def _forget_included(self, subscription: Subscription | None) -> None:
        """Have what it led to and nothing else does leave the replica, by the next batch."""
        if subscription is not None and subscription.reaches:
            self.anew |= {one.entity.name for one in subscription.reaches}
            self.fall_behind()

    def start_over(self, head: int) -> None:
        """Go on as if `hello` had neither cursor nor `have`."""
        self.starts += 1
        self.cursor = head
        self.phase = Phase.LIVE
        self.dirty_windows = []
        self.anew = frozenset()
        for one in self.subscriptions.values():
            one.begin()
            if one.is_window:
                self.dirty_windows.append(one.id)

    def next_read_is_due(self) -> bool:
        """Tell whether `next_read` would return something."""
        if self.phase in (Phase.GREETING, Phase.CLOSED):
            return False
        return (
            self.phase is Phase.CATCHING_UP
            or bool(self.dirty_windows)
            or any(one.after is not None for one in self.subscriptions.values())
        )

    def next_read(self) -> Command | None:
        """Return what to read next for this connection, or None where nothing is missing."""
        if self.phase in (Phase.GREETING, Phase.CLOSED):
            return None
        if self.phase is Phase.CATCHING_UP:
            return ReadLog(self.cursor)
        while self.dirty_windows:
            subscription_id = self.dirty_windows.pop(0)
            if subscription_id in self.subscriptions:
                return ReadWindow(subscription_id)
        for one in self.subscriptions.values():
            if one.after is not None:
                return ReadPage(one.id, one.after)
        return None

    def page_sent(self, subscription_id: str, last_id: str | None) -> bool:
        """Note a page that was handed to the transport; tells whether it was the last."""
        one = self.subscriptions.get(subscription_id)
        if one is None:
            return True
        one.page_sent(last_id)
        return one.is_hydrated

    def log_sent(self, through: int, *, more: bool) -> None:
        """Note that changes through a seq were handed to the transport."""
        assert through >= self.cursor, "a cursor never goes back"
        self.cursor = through
        if self.phase is Phase.CATCHING_UP and not more:
            self.phase = Phase.LIVE

    def fall_behind(self) -> None:
        """Leave the live path: the log will bring this connection up again."""
        if self.phase is Phase.LIVE:
            self.phase = Phase.CATCHING_UP

    def mark_window(self, subscription_id: str) -> None:
        """Have a window run again that a change can have moved."""
        if subscription_id in self.subscriptions and subscription_id not in self.dirty_windows:
            self.dirty_windows.append(subscription_id)

    def check(self) -> None:
        """Assert what must hold after every step."""
        assert self.cursor >= 0
        assert set(self.subscriptions) <= set(self.versions)
        assert not self.subscriptions.keys() & self.functions.keys()
        assert set(self.functions) <= set(self.versions)
        assert self.count <= self.subscriptions_max
