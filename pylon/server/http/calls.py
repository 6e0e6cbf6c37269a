"""One call on the sync socket: `part` frames as fast as they are taken, then `returned`."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from pylon import limits
from pylon.errors import Cancelled
from pylon.protocol import messages
from pylon.server.functions.outcome import Outcome, refused
from pylon.server.http.services import Services
from pylon.server.sync.channel import Connection

_POLL_SECONDS: Final = 0.05


class SocketCall:
    """A call that lives as long as its socket, unless it is cancelled before."""

    def __init__(self, services: Services, connection: Connection, message: messages.Call) -> None:
        self._services = services
        self._connection = connection
        self._message = message
        self._identity = connection.identity
        self._request_id = msgspec.json.encode(message.request_id).decode()

    async def run(self) -> None:
        """Run the function and answer; cancelling this cancels it, and says so."""
        connection, message = self._connection, self._message
        try:
            outcome = await self._services.executor.call(
                self._identity, message.fn, message.args, cause="ws",
                address=connection.address, send=self._send,
            )  # fmt: skip
        except asyncio.CancelledError:
            self._answer(refused(Cancelled()))
            raise
        self._answer(outcome)

    def _answer(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._connection.send(
                messages.Returned(request_id=self._message.request_id, error=outcome.error)
            )
            return
        value = outcome.value or "null"
        self._connection.send_text(
            f'{{"type":"returned","request_id":{self._request_id},"value":{value}}}'
        )

    async def _send(self, part: str) -> None:
        """Send a part once there is room: what syncs comes first."""
        connection = self._connection
        while connection.queued_bytes > limits.PART_QUEUE_BYTES_MAX and not connection.is_closed:
            await self._services.clock.sleep(_POLL_SECONDS)
        if connection.is_closed:
            raise Cancelled
        self._demand_still_allowed()
        connection.send_text(f'{{"type":"part","request_id":{self._request_id},"value":{part}}}')

    def _demand_still_allowed(self) -> None:
        """Raise where the caller's rights changed and he may not call this any more."""
        now, message = self._connection.identity, self._message
        if now is self._identity:
            return
        self._services.executor.demand_allowed(now, message.fn, message.args)
        self._identity = now
