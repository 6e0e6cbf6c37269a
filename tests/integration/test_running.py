"""Apps tested in process, as docs/testing.md says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pylon.errors import LoadFailed
from pylon.testing import ServerRefused, running

SHOP = """
from __future__ import annotations

from datetime import datetime

from pylon import App, Entity, Refused, field, now

app = App("shop")


@app.entity(
    read="auth.userId != null",
    insert="auth.userId != null",
    update="hasRole('clerk')",
    delete="hasRole('clerk')",
)
class Item(Entity):
    keys: str
    price: int = 1
    cost: int = field(default=0, private=True)
    madeAt: datetime = field(default=now)


@app.mutation
def buy(ctx, itemId: str) -> int:
    with ctx.as_system():
        item = ctx.db.get("Item", itemId)
        if item.price > 100:
            raise Refused("TOO_DEAR", "you can't afford it")
        ctx.db.delete("Item", itemId)
        return item.price


@app.query
def total(ctx) -> int:
    return sum(one.price for one in ctx.db.list("Item", limit=1000))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(SHOP)
    return folder


async def test_the_snippet_of_the_manual_works() -> None:
    """Users of one app are in sync once things have settled."""
    async with running("examples/chat") as rt:
        alice, bob = await rt.user("alice@example.com"), await rt.user("bob@example.com")
        c = (await alice.insert("Channel", name="general")).id
        await alice.insert("Message", channelId=c, body="hi")
        await rt.settled()
        assert bob.rows("Message")[0].body == "hi"


async def test_users_write_read_and_call(shop: Path) -> None:
    """All that a member offers does what the runtime says."""
    async with running(shop) as rt:
        ann, clerk = await rt.user("ann@example.com"), await rt.user("c@x.org", roles=["clerk"])
        nail = await ann.insert("Item", keys="nail", price=7)
        assert (nail.keys, nail["price"], "cost" in nail) == ("nail", 7, False)
        assert nail.madeAt == "2026-01-01T00:00:00.000Z"
        with pytest.raises(ServerRefused) as refused:
            await ann.update("Item", nail.id, price=8)
        assert refused.value.code == "POLICY_DENIED"
        await clerk.update("Item", nail.id, price=800)
        await rt.settled()
        assert [one.price for one in ann.rows("Item", {"price": {">": 100}})] == [800]
        with pytest.raises(ServerRefused) as dear:
            await ann.call("buy", itemId=nail.id)
        assert dear.value.code == "TOO_DEAR"
        assert await ann.call("total") == 800
        await clerk.delete("Item", nail.id)
        await rt.settled()
        assert ann.rows("Item") == clerk.rows("Item") == []


async def test_who_is_not_signed_in_sees_what_anybody_sees(shop: Path) -> None:
    """Nobody in particular has a replica too, and writes nothing."""
    async with running(shop) as rt:
        somebody = await rt.anonymous()
        await rt.system_insert("Item", keys="nail", cost=3)
        await rt.settled()
        assert somebody.rows("Item") == []
        with pytest.raises(ServerRefused) as refused:
            await somebody.insert("Item", keys="screw")
        assert refused.value.code == "UNAUTHENTICATED"


async def test_roles_change_while_people_are_connected(shop: Path) -> None:
    """A granted role holds at once, without a new sign-in."""
    async with running(shop) as rt:
        ann = await rt.user("ann@example.com")
        nail = await rt.system_insert("Item", keys="nail")
        await rt.set_roles("ann@example.com", ["clerk"])
        await rt.settled()
        assert (await ann.update("Item", nail.id, price=5)).price == 5


async def test_the_clock_stands_still_until_it_is_moved(shop: Path) -> None:
    """Times are those of the test's clock; a month passes at once."""
    async with running(shop) as rt:
        ann = await rt.user("ann@example.com")
        first = await ann.insert("Item", keys="a")
        await rt.advance(86_400 * 20)
        await rt.settled()
        second = await ann.insert("Item", keys="b")
        assert first.madeAt[:10] == "2026-01-01"
        assert second.madeAt[:10] == "2026-01-21"


async def test_a_session_that_ends_ends_the_replica(shop: Path) -> None:
    """The clock ends sessions too."""
    async with running(shop) as rt:
        ann = await rt.user("ann@example.com")
        await rt.system_insert("Item", keys="a")
        await rt.settled()
        assert len(ann.rows("Item")) == 1
        await rt.advance(86_400 * 400)
        assert ann.rows("Item") == []


async def test_apps_run_one_after_the_other(shop: Path) -> None:
    """Several apps in one process, each with a database of its own."""
    for _ in range(2):
        async with running(shop) as rt:
            ann = await rt.user("ann@example.com")
            await ann.insert("Item", keys="nail")
            assert len(ann.rows("Item")) == 1
        async with running("examples/chat") as rt:
            ann = await rt.user("ann@example.com")
            await ann.insert("Channel", name="general")
            assert len(ann.rows("Channel")) == 1


async def test_nothing_of_the_project_or_the_user_is_touched(shop: Path) -> None:
    """No folder `.pylon`, no state, no token: everything goes with the test."""
    async with running(shop) as rt:
        await rt.user("ann@example.com")
    assert sorted(one.name for one in shop.iterdir()) == ["app.py"]
    assert list(Path(os.environ["PYLON_STATE_DIR"]).iterdir()) == []


async def test_mistakes_of_the_app_are_told(tmp_path: Path) -> None:
    """An app that can't be loaded says why, as `pylon check` does."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('x')\nimport nonsense\n")
    with pytest.raises(LoadFailed, match="nonsense"):
        async with running(tmp_path):
            pass
