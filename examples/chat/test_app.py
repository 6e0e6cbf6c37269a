"""The chat, as two people use it: `pylon test`."""

from __future__ import annotations

from pathlib import Path

from pylon.testing import running

HERE = Path(__file__).parent


async def test_a_private_channel_is_seen_by_whom_its_owner_invites():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        channel = await ada.insert("Channel", name="plans", isPrivate=True)
        await ada.insert("Membership", channelId=channel.id, userId=ada.user_id)
        await ada.insert("Message", channelId=channel.id, body="a cake")
        await rt.settled()
        assert bob.rows("Channel") == []
        assert bob.rows("Message") == []
        await ada.insert("Membership", channelId=channel.id, userId=bob.user_id)
        await rt.settled()
        assert [one.body for one in bob.rows("Message")] == ["a cake"]


async def test_what_others_wrote_is_unread_until_it_is_marked():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        channel = await ada.insert("Channel", name="talk")
        await ada.insert("Message", channelId=channel.id, body="hi")
        assert (await bob.call("unreadCounts"))[channel.id] == 1
        assert (await ada.call("unreadCounts"))[channel.id] == 0
        await bob.call("markRead", channelId=channel.id)
        assert (await bob.call("unreadCounts"))[channel.id] == 0
