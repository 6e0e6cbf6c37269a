"""A followed query function of a script: its value now, and each time that it is another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from pylon.client.connection import ServerRefused

if TYPE_CHECKING:
    from pylon.client.client import PylonClient
    from pylon.client.values import FollowedFunction


class Live:
    """The value of one call, kept current until `close`."""

    def __init__(self, client: PylonClient, key: str, subscription_id: str) -> None:
        self.key = key
        self._client = client
        self._id = subscription_id
        self._moved = asyncio.Event()
        self._is_closed = False

    @property
    def value(self) -> Any:
        """Return the value, None before there is one; raises ServerRefused in its place."""
        state = self._state
        if state is None or not state.is_ready:
            return None
        if state.error is not None:
            raise ServerRefused(state.error)
        return state.value

    @property
    def at(self) -> str | None:
        """Return the cursor that the value was read at."""
        return None if self._state is None else self._state.at

    async def ready(self, timeout_s: float = 10.0) -> Any:
        """Return the value once there is one.

        Raises ServerRefused where the function came to an error, TimeoutError after `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            while self._state is None or not self._state.is_ready:
                await self._wait()
        return self.value

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield the value, and each other one that it comes to; raises ServerRefused."""
        shown: Any = msgspec.UNSET
        while not self._is_closed:
            state = self._state
            if (
                state is not None
                and state.is_ready
                and (state.error is not None or state.value is not shown)
            ):
                shown = self.value
                yield shown
            else:
                await self._wait()

    def close(self) -> None:
        """Follow it no more."""
        self._is_closed = True
        self._client.end_live(self)
        self._moved.set()

    def note(self) -> None:
        """Have whoever waits look again."""
        self._moved.set()

    @property
    def _state(self) -> FollowedFunction | None:
        return self._client.machine.values.get(self._id)

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()
