"""The notes, as two people use them: `pylon test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.testing import ServerRefused, running

HERE = Path(__file__).parent


async def test_a_note_is_seen_by_all_and_changed_by_its_writer_alone():
    async with running(HERE) as rt:
        ada, bob = await rt.user("ada@example.com"), await rt.user("bob@example.com")
        note = await ada.insert("Note", body="buy milk")
        await rt.settled()
        assert [one.body for one in bob.rows("Note")] == ["buy milk"]
        with pytest.raises(ServerRefused):
            await bob.update("Note", note.id, body="buy beer")
        await ada.delete("Note", note.id)
        await rt.settled()
        assert bob.rows("Note") == []
