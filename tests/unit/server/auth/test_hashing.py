"""Slow hashes: what is stored of a code, and how many run at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pylon import limits
from pylon.errors import Unavailable
from pylon.server.auth.hashing import Hasher, keyed, slow_code_hash


def test_what_is_stored_is_of_one_code_one_address_and_one_browser() -> None:
    """Typed otherwise it is the same; another code, address or browser is another."""
    stored = slow_code_hash("ada@example.com", "GVSMX5Y5")
    assert slow_code_hash("ada@example.com", " gvsm-x5y5 ") == stored
    assert slow_code_hash("bob@example.com", "GVSMX5Y5") != stored
    assert slow_code_hash("ada@example.com", "\ud800") != stored  # no code, and no crash either
    assert len({keyed(stored, None), keyed(stored, "one"), keyed(stored, "two"), stored}) == 4


async def test_few_run_at_once_and_a_crowd_is_refused() -> None:
    """A flood of sign-ins takes two threads and is told to come back, and the loop goes on."""
    hasher, go, running = Hasher(), threading.Event(), []

    def slow() -> None:
        running.append(1)
        go.wait(10)

    tasks = [asyncio.create_task(hasher.run(slow)) for _ in range(limits.HASHES_WAITING_MAX)]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable):
        await hasher.run(slow)
    assert len(running) == limits.HASHES_AT_ONCE
    go.set()
    await asyncio.gather(*tasks)
    await hasher.close()
