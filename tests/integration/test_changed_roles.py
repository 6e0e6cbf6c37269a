"""Who lost or got a role while he was away starts over: his replica is of who he was before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.client import PylonClient, ServerRefused
from pylon.testing import Running, running

APP = """
from __future__ import annotations

from pylon import App, Entity

app = App("papers")


@app.entity(read="data.open == true || hasRole('auditor')", insert="true", update="true")
class Paper(Entity):
    title: str
    open: bool = False
"""


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def _away(rt: Running) -> object:
    accept, rt.network._accept = rt.network._accept, None
    rt.network.reset_all()
    return accept


async def test_a_role_lost_while_offline_takes_its_rows_along(papers: Path) -> None:
    """The rows go although nothing was written since, and a cursor could go on."""
    async with running(papers) as rt:
        ann = await rt.user("ann@example.com", roles=["auditor"])
        await rt.system_insert("Paper", title="secret")
        await rt.settled()
        assert len(ann.rows("Paper")) == 1
        accept = _away(rt)
        await rt.set_roles("ann@example.com", [])
        rt.network._accept = accept  # type: ignore[assignment]
        await rt.settled()
        assert ann.rows("Paper") == []


async def test_a_role_gained_while_offline_brings_its_rows(papers: Path) -> None:
    """And what is visible only now is fetched."""
    async with running(papers) as rt:
        ann = await rt.user("ann@example.com")
        await rt.system_insert("Paper", title="secret")
        await rt.settled()
        accept = _away(rt)
        await rt.set_roles("ann@example.com", ["auditor"])
        rt.network._accept = accept  # type: ignore[assignment]
        await rt.settled()
        assert [one.title for one in ann.rows("Paper")] == ["secret"]


async def test_pull_refuses_a_cursor_of_who_one_was_before(papers: Path) -> None:
    """A pull from before the change is 410; one from the number of the change goes on."""
    async with running(papers) as rt:
        ann = await rt.user("ann@example.com")
        await rt.system_insert("Paper", title="one", open=True)
        await rt.settled()
        before = ann.client.cursor
        await rt.set_roles("ann@example.com", ["auditor"])
        with pytest.raises(ServerRefused) as refused:
            await _pull(ann.client, before)
        assert refused.value.code == "RESYNC_REQUIRED"
        assert refused.value.details["reason"] == "cursor_too_old"
        assert (await _pull(ann.client, refused.value.details["head"]))["changes"] == []


async def test_pages_go_on_over_numbers_without_an_entry(papers: Path) -> None:
    """Numbers that went to a change of roles end no page too early, and none never."""
    async with running(papers) as rt:
        ann, bob = await rt.user("ann@example.com"), await rt.user("bob@example.com")
        start = ann.client.cursor
        for place in range(3):
            await rt.system_insert("Paper", title=str(place), open=True)
            await rt.set_roles("bob@example.com", [f"r{place}"])
        cursor, titles, pages = start, [], 0
        while pages < 20:
            batch = await _pull(ann.client, cursor, limit="1")
            titles += [one["row"]["title"] for one in batch["changes"]]
            cursor, pages = batch["through"], pages + 1
            if not batch["more"]:
                break
        assert titles == ["0", "1", "2"]
        assert cursor == str(rt.runtime.services.database.cursor())
        assert bob.client.user_id is not None


async def _pull(client: PylonClient, cursor: str | None, limit: str = "1000") -> Any:
    assert cursor is not None
    params = {"cursor": cursor, "limit": limit}
    return await client.shell.connection.request("GET", "/api/sync/pull", params=params)
