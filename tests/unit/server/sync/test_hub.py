"""The hub: who is too slow, and who only seems so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon import limits
from pylon.server.sync.channel import close_frame
from tests.unit.server.sync.hubs import hubs_at, user

NOTES = {"id": "s", "entity": "Note"}


@pytest.mark.parametrize(("drains", "is_closed"), [(True, False), (False, True)])
async def test_slow_is_who_takes_nothing(tmp_path: Path, drains: bool, is_closed: bool) -> None:
    """A full queue that moves is progress; one that stands still for 30 s is closed with 1013."""
    async with hubs_at(tmp_path) as hubs:
        peer = await hubs.live(user("ann"), NOTES)
        connection, transport = peer.connection, peer.transport
        transport.stuck = True
        connection.write(b"x" * 1_000)
        for second in range(int(limits.SEND_STALL_SECONDS) + 3):
            hubs.hub._check_drain(connection, float(second))
            if drains:  # as much is written as goes out: the queue does not get shorter
                transport.queued -= 100
                connection.write(b"x" * 100)
        assert connection.is_closed is is_closed
        assert (transport.writes[-1] == close_frame(1013, "too slow")) is is_closed
