"""Live queries with neighbours: what a replica shows is what a list with `include` answers."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from pylon.client import connect
from pylon.errors import InvalidArgument
from pylon.testing.served import Caller
from tests.conftest import Serve

INCLUDE = ["author", "channel.members.user", "channel.ownerId"]


class _World:
    """People who write at random, and what they have written."""

    def __init__(self, people: list[Caller], seed: int) -> None:
        self.people = people
        self.chance = random.Random(seed)
        self.rows: dict[str, list[tuple[Caller, str]]] = {"Message": [], "Membership": []}

    async def begin(self) -> None:
        """Make channels, and have everybody be in some."""
        owner = self.people[0]
        self.channels = [
            (await owner.insert("Channel", name=f"c{at}", isPrivate=at == 2))["id"]
            for at in range(3)
        ]
        for _ in range(12):
            await self.step()

    async def step(self) -> None:
        """Write something; what is refused changes nothing."""
        who, channel = self.chance.choice(self.people), self.chance.choice(self.channels)
        match self.chance.randrange(6):
            case 0 | 1:
                await self._insert("Message", who, channelId=channel, body="x")
            case 2:
                owner, user = self.people[0], who.user_id
                await self._insert("Membership", owner, channelId=channel, userId=user)
            case 3 | 4 as kind:
                kept = self.rows["Message" if kind == 3 else "Membership"]
                if kept:
                    who, row_id = kept.pop(self.chance.randrange(len(kept)))
                    entity = "Message" if kind == 3 else "Membership"
                    await who.ask("DELETE", f"/api/entities/{entity}/{row_id}")
            case _:
                name = {"name": f"n{self.chance.randrange(100)}"}
                await who.ask("PATCH", f"/api/entities/User/{who.user_id}", name)

    async def _insert(self, entity: str, who: Caller, **values: Any) -> None:
        answer = await who.post(f"/api/entities/{entity}", values)
        if answer.status == 201:
            self.rows[entity].append((who, answer.body["id"]))


@pytest.mark.parametrize("limit", [None, 4], ids=["all", "window"])
async def test_a_live_query_shows_what_a_list_answers(serve: Serve, limit: int | None) -> None:
    """Rows come, go and change, and so do the rows around them, each behind its own policy."""
    served = await serve("examples/chat")
    people = [await served.login(f"p{at}@example.com") for at in range(3)]
    world = _World(people, seed=7)
    await world.begin()
    reader = people[1]
    async with connect(served.url, token=reader.token) as db:
        query = db.query("Message", order=["-sentAt"], limit=limit, include=INCLUDE)
        for _ in range(6):
            for _ in range(8):
                await world.step()
            asked = {"order": ["-sentAt"], "include": INCLUDE, "limit": limit or 1000}
            wanted = (await reader.post("/api/query/Message", asked)).body["rows"]
            async with asyncio.timeout(60):
                async for rows in query:
                    if rows == wanted:
                        break
        assert any(row["channel"]["members"] for row in query.rows)
        query.close()
        assert db.machine.replica.subscriptions == {}, "nothing is held any more"


async def test_scripts_search_and_add_up(serve: Serve) -> None:
    """Rows and numbers from the server; a path that is none says what there is."""
    served = await serve("examples/chat")
    ada = await served.login("ada@example.com")
    channel = await ada.insert("Channel", name="one")
    await ada.insert("Message", channelId=channel["id"], body="plain words")
    async with connect(served.url, token=ada.token) as db:
        (found,) = await db.search("Message", "wor", {"channelId": channel["id"]},
                                   limit=5, include=["channel"])  # fmt: skip
        assert (found.body, found.channel["name"]) == ("plain words", "one")
        (group,) = await db.aggregate("Message", {"n": {"count": "*"}}, group=["channelId"])
        assert group == {"channelId": channel["id"], "n": 1}
        with pytest.raises(InvalidArgument, match="Message has no relation autor") as refused:
            await db.query("Message", include=["autor"]).ready()
        assert refused.value.hint == "did you mean author?"
