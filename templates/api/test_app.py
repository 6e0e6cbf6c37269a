"""The links, as their owner and a stranger use them: `pylon test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.testing import ServerRefused, running

HERE = Path(__file__).parent


async def test_anybody_follows_a_link_and_its_owner_sees_it():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        await ada.insert("Link", name="docs", url="https://docs.example")
        await ada.insert("Link", name="blog", url="https://blog.example")
        assert await bob.call("visit", name="docs") == "https://docs.example"
        (first, second) = await ada.call("popular")
        assert (first["name"], first["visits"], second["visits"]) == ("docs", 1, 0)
        assert await bob.call("popular") == []


async def test_a_name_is_taken_once_and_a_wrong_one_is_said():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        await ada.insert("Link", name="docs", url="https://docs.example")
        with pytest.raises(ServerRefused):
            await bob.insert("Link", name="docs", url="https://other.example")
        with pytest.raises(ServerRefused, match="there is no link 'dogs'"):
            await bob.call("visit", name="dogs")
