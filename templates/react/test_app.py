"""The list, as two people use it: `pylon test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.testing import ServerRefused, running

HERE = Path(__file__).parent


async def test_what_one_adds_the_other_sees_and_ticks():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        await ada.insert("Item", title="milk")
        await rt.settled()
        (item,) = bob.rows("Item")
        await bob.update("Item", item.id, done=True)
        await rt.settled()
        assert [row.done for row in ada.rows("Item")] == [True]


async def test_each_clears_his_own_only():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        await ada.insert("Item", title="milk", done=True)
        with pytest.raises(ServerRefused, match="none of your items"):
            await bob.call("clearDone")
        assert await ada.call("clearDone") == 1
        await rt.settled()
        assert bob.rows("Item") == []


async def test_nobody_else_deletes_it():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        item = await ada.insert("Item", title="milk")
        with pytest.raises(ServerRefused):
            await bob.delete("Item", item.id)
