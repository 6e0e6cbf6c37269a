"""The chat example, tested as docs/testing.md tells its users to test theirs."""

from __future__ import annotations

import pytest

from pylon.testing import ServerRefused, running


async def test_what_alice_writes_bob_reads() -> None:
    """Messages of a public channel reach everybody who is signed in."""
    async with running("examples/chat") as rt:
        alice, bob = await rt.user("alice@example.com"), await rt.user("bob@example.com")
        nobody = await rt.anonymous()
        c = (await alice.insert("Channel", name="general")).id
        await alice.insert("Message", channelId=c, body="hi")
        await rt.settled()
        assert bob.rows("Message")[0].body == "hi"
        assert nobody.rows("Message") == nobody.rows("Channel") == []


async def test_a_private_channel_is_its_members() -> None:
    """Who is invited reads what is said from then on; others see neither channel nor messages."""
    async with running("examples/chat") as rt:
        alice, bob = await rt.user("alice@example.com"), await rt.user("bob@example.com")
        eve = await rt.user("eve@example.com")
        c = (await alice.insert("Channel", name="us", isPrivate=True)).id
        for member in (alice, bob):
            await alice.insert("Membership", channelId=c, userId=member.user_id)
        await alice.insert("Message", channelId=c, body="psst")
        await rt.settled()
        assert [one.body for one in bob.rows("Message")] == ["psst"]
        assert eve.rows("Message") == eve.rows("Channel") == []
        with pytest.raises(ServerRefused) as refused:
            await eve.insert("Message", channelId=c, body="let me in")
        assert refused.value.code == "POLICY_DENIED"


async def test_only_authors_edit_and_moderators_delete() -> None:
    """A message is its author's; a moderator may remove it and not change it."""
    async with running("examples/chat") as rt:
        alice = await rt.user("alice@example.com")
        mod = await rt.user("mod@example.com", roles=["moderator"])
        c = (await alice.insert("Channel", name="general")).id
        message = await alice.insert("Message", channelId=c, body="hi")
        with pytest.raises(ServerRefused) as refused:
            await mod.update("Message", message.id, body="bye")
        assert refused.value.code == "POLICY_DENIED"
        await alice.update("Message", message.id, body="hello")
        await mod.delete("Message", message.id)
        await rt.settled()
        assert alice.rows("Message") == []


async def test_what_was_read_is_not_counted() -> None:
    """Unread messages are those of others since the read mark was moved."""
    async with running("examples/chat") as rt:
        alice, bob = await rt.user("alice@example.com"), await rt.user("bob@example.com")
        c = (await alice.insert("Channel", name="general")).id
        await alice.insert("Message", channelId=c, body="one")
        assert await bob.call("unreadCounts") == {c: 1}
        await rt.advance(60)
        await bob.call("markRead", channelId=c)
        assert await bob.call("unreadCounts") == {c: 0}
        await rt.advance(60)
        await alice.insert("Message", channelId=c, body="two")
        assert (await bob.call("unreadCounts"), await alice.call("unreadCounts")) == (
            {c: 1}, {c: 0}
        )  # fmt: skip
