"""Subscriptions and snapshots have a bound per user, per address and in all, and are given back."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from pylon.testing.served import DidNotStart, SyncSocket
from tests.conftest import Serve
from tests.integration.apps import NOTES


def _wanted(number: int) -> dict[str, Any]:
    return {"id": f"s{number}", "entity": "Note", "where": {"rank": number}}


async def _answers(socket: SyncSocket, count: int) -> list[str]:
    """Return what so many subscriptions were answered: a page, or the code of a refusal."""
    answers: list[str] = []
    while len(answers) < count:
        message = await socket.next()
        if message["type"] == "snapshot":
            answers.append("snapshot")
        elif message["type"] == "error":
            answers.append(message["error"]["code"])
    return sorted(answers)


async def test_subscriptions_of_one_user_have_a_bound(serve: Serve) -> None:
    """Five of five fit on two sockets; the sixth is refused, its socket stays; others are free."""
    served = await serve(NOTES, toml="[limits]\nsubscriptions_per_user = 5\n")
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    one = await ada.sync(*(_wanted(n) for n in range(3)))
    assert await _answers(one, 3) == ["snapshot"] * 3
    two = await ada.sync(*(_wanted(n) for n in range(3)))
    assert await _answers(two, 3) == ["RATE_LIMITED", "snapshot", "snapshot"]
    await two.send({"type": "subscribe", **_wanted(9)})
    assert await _answers(two, 1) == ["RATE_LIMITED"]
    higher = {**_wanted(0), "version": 2}
    await one.send({"type": "subscribe", **higher})
    assert await _answers(one, 1) == ["snapshot"], "one that takes another's place is no more"
    await one.send({"type": "unsubscribe", "id": "s1"})
    await one.until("unsubscribed")
    await two.send({"type": "subscribe", **_wanted(9)})
    assert await _answers(two, 1) == ["snapshot"]
    free = await bob.sync(*(_wanted(n) for n in range(5)))
    assert await _answers(free, 5) == ["snapshot"] * 5
    wanted = quote(json.dumps([_wanted(1)]))
    stream = await ada.get(f"/api/sync/events?subscriptions={wanted}")
    assert (stream.status, stream.code) == (429, "RATE_LIMITED")
    assert int(stream.headers["Retry-After"]) >= 1
    await one.close()
    await asyncio.sleep(0.2)
    await two.send({"type": "subscribe", **_wanted(10)})
    assert await _answers(two, 1) == ["snapshot"], "what a closed socket had is given back"
    for socket in (two, free):
        await socket.close()


@pytest.mark.parametrize("key", ["subscriptions", "subscriptions_per_address"])
async def test_subscriptions_have_a_bound_for_all_together(serve: Serve, key: str) -> None:
    """Different people at one address: the bound of the address, and that in all."""
    served = await serve(NOTES, toml=f"[limits]\n{key} = 4\n")
    ada, bob = await served.login("ada@example.com"), await served.login("bob@example.com")
    one = await ada.sync(*(_wanted(n) for n in range(3)))
    assert await _answers(one, 3) == ["snapshot"] * 3
    two = await bob.sync(*(_wanted(n) for n in range(2)))
    assert await _answers(two, 2) == ["RATE_LIMITED", "snapshot"]
    for socket in (one, two):
        await socket.close()


async def test_subscriptions_of_one_socket_have_a_bound(serve: Serve) -> None:
    """The setting counts for sockets and for the lists of pull, and stands in the welcome."""
    served = await serve(NOTES, toml="[limits]\nsubscriptions_per_socket = 2\n")
    ada = await served.login("ada@example.com")
    socket = await ada.sync(*(_wanted(n) for n in range(3)))
    assert (await socket.until("welcome"))["limits"]["subscriptions"] == 2
    assert await _answers(socket, 3) == ["RATE_LIMITED", "snapshot", "snapshot"]
    for count, status in ((2, 200), (3, 400)):
        wanted = quote(json.dumps([_wanted(n) for n in range(count)]))
        assert (await ada.get(f"/api/sync/pull?subscriptions={wanted}")).status == status
    await socket.close()


async def test_sockets_that_come_at_once_have_a_bound(serve: Serve) -> None:
    """Forty upgrades at the same moment: five get through, and no more; places are given back."""
    served = await serve(NOTES, toml="[limits]\nsockets_per_user = 5\n")
    ada = await served.login("ada@example.com")
    many = await asyncio.gather(*(ada.sync() for _ in range(40)), return_exceptions=True)
    taken = [one for one in many if isinstance(one, SyncSocket)]
    refused = [one for one in many if isinstance(one, aiohttp.WSServerHandshakeError)]
    assert (len(taken), len(refused)) == (5, 35)
    assert {one.status for one in refused} == {429}
    for socket in taken:
        await socket.close()
    await asyncio.sleep(0.2)
    await (await ada.sync()).close()


async def test_snapshots_under_way_have_a_bound(serve: Serve) -> None:
    """Of many at once some are told to come again; one after the other all are served."""
    served = await serve(NOTES, toml="[limits]\nsnapshots_per_user = 2\n")
    ada = await served.login("ada@example.com")
    operations = [
        {"op_id": f"o{n}", "fn": "pylon.insert",
         "args": {"entity": "Note", "values": {"text": "x", "extra": "y" * 5_000}}}
        for n in range(150)
    ]  # fmt: skip
    assert (await ada.post("/api/sync/push", {"operations": operations})).status == 200
    path = "/api/sync/snapshot?entity=Note"
    many = await asyncio.gather(*(ada.get(path) for _ in range(40)))
    assert {one.status for one in many} == {200, 429}
    refused = next(one for one in many if one.status == 429)
    assert (refused.code, int(refused.headers["Retry-After"]) >= 1) == ("RATE_LIMITED", True)
    for _ in range(5):
        assert (await ada.get(path)).status == 200


async def test_a_bound_that_leaves_nothing_stops_the_start(serve: Serve) -> None:
    """Zero and less are no bounds, and a heartbeat has a length."""
    for line in ("sockets = 0", "subscriptions = -1", "send_queue_bytes = 0",
                 "heartbeat_seconds = 0", "requests_per_second = -1"):  # fmt: skip
        served = await serve(NOTES, is_started=False, toml=f"[limits]\n{line}\n")
        with pytest.raises(DidNotStart) as caught:
            await served.start()
        assert f"limits.{line.split()[0]} is" in str(caught.value), line
