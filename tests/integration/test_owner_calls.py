"""The owner calls functions as anybody: streamed, cancelled, and refused as that caller is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pylon.client.admin import AdminClient, AdminError
from pylon.server.http.admin_functions import functions_of
from pylon.testing import Running, running
from pylon.testing.inprocess import URL

APP = '''
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

from pylon import App, Entity

app = App("called")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str


@app.mutation(allow="true", rate="20/minute")
def note(ctx, text: str, tone: Literal["calm", "loud"] = "calm", at: datetime | None = None,
         tags: list[str] = []) -> str:
    """Write something down."""
    ctx.db.insert("Note", text=text.upper() if tone == "loud" else text)
    return f"{ctx.auth.email}: {text} ({len(tags)})"


@app.query
def mine(ctx) -> str:
    return ctx.auth.email or "nobody"


@app.action(allow="true")
async def count(ctx, to: int) -> AsyncIterator[int]:
    for n in range(to):
        yield n


@app.action
async def big(ctx) -> str:
    return "x" * 6_000_000


@app.action(allow="true")
async def forever(ctx) -> AsyncIterator[str]:
    try:
        yield f"for {ctx.auth.email}"
        await asyncio.sleep(3_600)
    finally:
        await ctx.run(note, text="cleaned")
'''


@asynccontextmanager
async def owned(tmp_path: Path) -> AsyncIterator[tuple[Running, AdminClient]]:
    """Run the app, with the owner's client beside it."""
    (tmp_path / "app.py").write_text(APP)
    async with running(tmp_path) as rt:
        admin = AdminClient(URL, token=rt.runtime.services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=rt.network.connector("owner"))
        try:
            yield rt, admin
        finally:
            await admin.close()


async def test_parts_come_one_by_one_and_values_as_they_are(tmp_path: Path) -> None:
    """A stream is told part by part, to whomever it is done as; else it is the list of them."""
    async with owned(tmp_path) as (rt, admin):
        await rt.user("ada@example.com")
        parts: list[Any] = []
        for user in (None, "anonymous", "ada@example.com"):
            parts.clear()
            assert await admin.call("count", {"to": 3}, user, parts.append) is None
            assert parts == [0, 1, 2]
        assert await admin.call("count", {"to": 3}) == [0, 1, 2]
        parts.clear()
        assert len(await admin.call("big", {}, None, parts.append)) == 6_000_000
        assert await admin.call("mine", {}, "ada@example.com", parts.append) == "ada@example.com"
        assert await admin.call("note", {"text": "hi"}, None, parts.append) == "None: hi (0)"
        assert parts == []
        with pytest.raises(AdminError) as refused:
            await admin.call("mine", {}, "anonymous", parts.append)
        assert refused.value.code == "UNAUTHENTICATED"
        with pytest.raises(AdminError) as wrong:
            await admin.call("note", {"tone": "shrill"}, None, parts.append)
        assert [one["field"] for one in wrong.value.details["problems"]] == ["text", "tone"]
        with pytest.raises(AdminError, match="no account"):
            await admin.call("mine", {}, "bob@example.com", parts.append)


async def test_an_action_ends_with_the_owner_who_leaves(tmp_path: Path) -> None:
    """Leaving cancels it, as for any caller; its `finally` runs, and the trace says so."""
    async with owned(tmp_path) as (rt, admin):
        await rt.user("ada@example.com")
        begun = asyncio.Event()
        book = rt.runtime.services.observer.calls
        task = asyncio.create_task(
            admin.call("forever", {}, "ada@example.com", lambda _: begun.set())
        )
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(60):
            while not {"forever", "note"} <= {one.name for one in book.newest}:
                await asyncio.sleep(0.02)
        ended = {one.name: one for one in book.newest}
        assert (ended["forever"].outcome, ended["note"].outcome) == ("cancelled", "done")
        assert ended["forever"].user == "ada@example.com"


async def test_functions_say_what_a_form_needs(tmp_path: Path) -> None:
    """Schemas and defaults of arguments, rates, and what an action streams."""
    async with owned(tmp_path) as (rt, _):
        found = {one["name"]: one for one in functions_of(rt.runtime.services)}
        text, tone, at, tags = found["note"]["arguments"]
        assert (text["schema"], "default" in text) == ({"type": "string"}, False)
        assert (tone["schema"]["enum"], tone["default"]) == (["calm", "loud"], "calm")
        assert (at["schema"]["anyOf"][0]["format"], at["default"]) == ("date-time", None)
        assert tags["default"] == []
        assert found["note"]["rate"] == {"calls": 20, "seconds": 60.0}
        assert (found["count"]["part"], found["mine"]["part"]) == ("number", None)


async def test_counts_are_told_as_they_move_also_where_nobody_calls(tmp_path: Path) -> None:
    """What runs is told before it ends, and the calls of a minute get fewer by themselves."""
    async with owned(tmp_path) as (rt, admin):
        stream = admin.stream()

        async def told(name: str, **counts: int) -> None:
            async with asyncio.timeout(60):
                async for message in stream:
                    for one in message.get("timings", ()):
                        if one["name"] == name and counts.items() <= one.items():
                            return

        await anext(stream)
        await admin.call("mine", {}, await _made(rt))
        await rt.advance(1)
        await told("mine", calls=1, per_minute=1)
        running_call = asyncio.create_task(admin.call("forever", {}, None, lambda _: None))
        while not rt.runtime.services.observer.calls.running:
            await asyncio.sleep(0.01)
        await rt.advance(1)
        await told("forever", running=1, calls=0)
        running_call.cancel()
        await asyncio.gather(running_call, return_exceptions=True)
        await rt.advance(61)
        await told("mine", calls=1, per_minute=0)
        await stream.aclose()  # type: ignore[attr-defined]


async def _made(rt: Running) -> str:
    """Return the address of an account that is there now."""
    await rt.user("ada@example.com")
    return "ada@example.com"
