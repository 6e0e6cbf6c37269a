"""Subscriptions of connections: taken, counted, ended, and kept over another app or caller."""

from __future__ import annotations

from pylon.errors import PylonError
from pylon.protocol.messages import ErrorMessage, Subscribe, SubscriptionSpec
from pylon.server.functions.definitions import DefinitionHolder
from pylon.server.quota import Quotas
from pylon.server.sync.channel import Connection, principal_of
from pylon.server.sync.live_functions import LiveFunctions
from pylon.server.sync.subscription import (
    FunctionSubscription,
    make_function_subscription,
    make_subscription,
    recompiled,
    still_compiles,
)


class Subscribing:
    """What connections have subscribed to, within their bounds."""

    def __init__(self, definitions: DefinitionHolder, quotas: Quotas, live: LiveFunctions) -> None:
        self._definitions = definitions
        self._quotas = quotas
        self._live = live

    def add(
        self, connection: Connection, spec: SubscriptionSpec | Subscribe, *, is_resuming: bool
    ) -> None:
        """Take a subscription, or say on the socket why not."""
        machine, definition = connection.subscriber, self._definitions.current
        try:
            if spec.fn is not None:
                function = make_function_subscription(spec, definition, connection.identity)
                self._demand(connection, spec.id)
                self._demand_args(connection, function)
                machine.add_function(function)
                self._live.follow(connection, function, connection.identity)
                return
            made = make_subscription(spec, definition, connection.identity, is_resuming=is_resuming)
            self._demand(connection, spec.id)
            machine.add(made)
        except PylonError as error:
            connection.send(ErrorMessage(error=error.to_wire(), subscription=spec.id))

    def _demand(self, connection: Connection, subscription_id: str) -> None:
        machine = connection.subscriber
        if subscription_id not in machine.versions:
            more = machine.count + 1 - connection.counted
            user = principal_of(connection.identity)
            self._quotas.subscriptions.demand(user, connection.address, more)

    def _demand_args(self, connection: Connection, one: FunctionSubscription) -> None:
        others = connection.subscriber.functions.items()
        more = one.args_bytes + sum(kept.args_bytes for name, kept in others if name != one.id)
        user = principal_of(connection.identity)
        self._quotas.live_args.demand(user, connection.address, more - connection.counted_args)

    def remove(self, connection: Connection, subscription_id: str) -> bool:
        """End a subscription; tells whether rows were subscribed to."""
        if connection.subscriber.remove_function(subscription_id):
            self._live.leave(connection, subscription_id)
            self.count(connection)
            return False
        return connection.subscriber.remove(subscription_id)

    def leave(self, connection: Connection) -> None:
        """Forget all of a connection's."""
        for name in connection.subscriber.functions:
            self._live.leave(connection, name)
        self._count(connection, 0, 0)

    def count(self, connection: Connection) -> None:
        """Count what a connection has by now against the quotas."""
        machine = connection.subscriber
        args = sum(one.args_bytes for one in machine.functions.values())
        self._count(connection, machine.count, args)

    def _count(self, connection: Connection, subscriptions: int, args: int) -> None:
        user, address = principal_of(connection.identity), connection.address
        more, connection.counted = subscriptions - connection.counted, subscriptions
        if more:
            self._quotas.subscriptions.add(user, address, more)
        more, connection.counted_args = args - connection.counted_args, args
        if more:
            self._quotas.live_args.add(user, address, more)

    def drop_unaskable(self, connection: Connection) -> None:
        """End the subscriptions that name a field which their caller can't name any more."""
        machine, definition = connection.subscriber, self._definitions.current
        for one in list(machine.subscriptions.values()):
            try:
                recompiled(one, definition, connection.identity)
            except PylonError as error:
                machine.remove(one.id)
                connection.send(ErrorMessage(error=error.to_wire(), subscription=one.id))

    def compile_anew(self, connection: Connection) -> bool:
        """Have subscriptions be over the app as it is now; False where one is none any more."""
        machine, definition = connection.subscriber, self._definitions.current
        kept = {
            key: still_compiles(one, definition, connection.identity)
            for key, one in machine.subscriptions.items()
        }
        machine.subscriptions = {key: one for key, one in kept.items() if one is not None}
        return len(machine.subscriptions) == len(kept)
