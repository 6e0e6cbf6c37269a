"""Who comes all at once is welcomed a few at a time, and who is sent away comes back spread."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pylon import limits
from pylon.errors import RateLimited
from pylon.server.quota import Quota, Quotas
from pylon.server.sync.pace import Pace, goodbye_ms
from tests.unit.server.sync.hubs import hubs_at, user


@pytest.mark.parametrize("start", [0.0, 5_000.0])
def test_a_burst_goes_through_and_the_rest_in_turn(start: float) -> None:
    """Places are one pause apart once the burst is used up, and a rest earns the burst again."""
    pace = Pace(per_second=10, burst=5)
    waits = [pace.take(start) for _ in range(9)]
    assert waits[:5] == pytest.approx([0.0] * 5, abs=1e-6)
    assert waits[5:] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert pace.length(start) == pytest.approx(0.4)
    assert pace.take(start + 0.4) == pytest.approx(0.1)
    assert [pace.take(start + 60) for _ in range(6)] == pytest.approx([0.0] * 5 + [0.1], abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1_000, 10_000])
def test_goodbyes_spread_the_return(count: int) -> None:
    """I37: of many at most a fifth comes back in any second; few are back at once."""
    moments = sorted(goodbye_ms(place, count) for place in range(count))
    assert moments[0] == 200
    if count <= 10:
        assert moments[-1] <= 1_300
        return
    busiest = max(
        sum(1 for one in moments if start <= one < start + 1_000)
        for start in range(0, moments[-1], 250)
    )
    assert busiest <= 0.2 * count
    seconds = Counter(one // 1_000 for one in moments)
    assert max(seconds.values()) <= limits.WELCOMES_PER_SECOND + 1


async def test_hellos_of_many_wait_for_their_turn(tmp_path: Path) -> None:
    """At no moment were more welcomed than the burst and the time since allow."""
    async with hubs_at(tmp_path) as hubs:
        hubs.hub._pace = Pace(per_second=100, burst=5)
        loop = asyncio.get_running_loop()
        started = loop.time()
        came: list[float] = []
        hub = hubs.hub
        greet = hub.greet

        def note(*asked: Any) -> None:
            came.append(loop.time() - started)
            greet(*asked)

        hub.greet = note  # type: ignore[method-assign]
        peers = [hubs.prepare(user("ann")) for _ in range(25)]
        await asyncio.gather(*(hub.greet_in_turn(*peer) for peer in peers))
        assert len(came) == 25
        for place, moment in enumerate(came, 1):
            assert place <= 5 + 1 + 100 * moment


async def test_a_long_line_is_refused_before_the_upgrade(tmp_path: Path) -> None:
    """429 with moments to come back that differ; who went away in line is not welcomed."""
    async with hubs_at(tmp_path) as hubs:
        hub = hubs.hub
        hub._pace = Pace(per_second=1, burst=0)
        connection, hello, cursor = hubs.prepare(user("ann"))
        hub._pace.per_second = 50
        connection.is_closed = True
        await hub.greet_in_turn(connection, hello, cursor)
        assert connection.view is None
        hub._pace.per_second = 1
        with hub.admitted(user("ann"), "a"):
            assert hub.quotas.sockets.count == 1
        assert hub.quotas.sockets.count == 0
        for _ in range(int(limits.WELCOME_LINE_SECONDS) + 2):
            hub._pace.take(asyncio.get_running_loop().time())
        waits = set()
        for _ in range(5):
            with pytest.raises(RateLimited) as caught, hub.admitted(user("ann"), "a"):
                raise AssertionError("there was no place")
            waits.add(caught.value.retry_after_s)
        assert len(waits) == 5
        assert min(waits) > limits.WELCOME_LINE_SECONDS
        assert hub.quotas.sockets.count == 0


async def test_a_place_is_counted_from_the_moment_it_is_given(tmp_path: Path) -> None:
    """Not only once the upgrade is answered, when others have come through; a failure frees it."""
    async with hubs_at(tmp_path) as hubs:
        hub = hubs.hub
        hub.quotas = Quotas(sockets=Quota("sockets", 10, 1, 10))
        upgrade = hub.admitted(user("ann"), "a")
        upgrade.__enter__()
        with pytest.raises(RateLimited), hub.admitted(user("ann"), "b"):
            raise AssertionError("there was no place")
        failure = ConnectionError("before the upgrade was answered")
        assert not upgrade.__exit__(ConnectionError, failure, None)
        with hub.admitted(user("ann"), "b"):
            assert hub.quotas.sockets.count == 1
