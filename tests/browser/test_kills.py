"""Kills of the browser itself: what it holds is as of its cursor, and what it promised arrives."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from playwright.async_api import Error, Page

from pylon import jsonvalue
from pylon.testing.served import Caller, ServedProject
from tests.browser.conftest import BrokenServer, MortalBrowser, signed_in, stored, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

KILLS = 10 * int(os.environ.get("PYLON_TEST_SCALE", "1"))
ROWS = 2_500


class Writer:
    """Somebody who writes all the time: inserts, updates and deletes of the same rows."""

    def __init__(self, caller: Caller, chance: random.Random) -> None:
        self._caller = caller
        self._chance = chance
        self._made = 0

    async def fill(self, count: int) -> None:
        """Insert so many rows."""
        for start in range(0, count, 500):
            await self._push([self._insert(f"row{n}") for n in range(start, start + 500)])

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._push([self._operation() for _ in range(self._chance.randint(1, 12))])
            await asyncio.sleep(self._chance.uniform(0.0, 0.03))

    def _operation(self) -> dict[str, Any]:
        row_id = f"row{self._chance.randrange(60)}"
        match self._chance.randrange(4):
            case 0:
                return {"fn": "pylon.delete", "args": {"entity": "Note", "id": row_id}}
            case 1:
                return self._insert(row_id)
            case _:
                values = {"body": f"v{self._chance.randrange(10**6)}"}
                args = {"entity": "Note", "id": row_id, "values": values}
                return {"fn": "pylon.update", "args": args}

    def _insert(self, row_id: str) -> dict[str, Any]:
        args = {"entity": "Note", "id": row_id, "values": {"body": "new"}}
        return {"fn": "pylon.insert", "args": args}

    async def _push(self, operations: list[dict[str, Any]]) -> None:
        named = []
        for one in operations:
            self._made += 1
            named.append({"op_id": f"w{self._made}", **one})
        answer = await self._caller.post(
            "/api/sync/push", {"client_id": "writer", "operations": named}
        )
        assert answer.status == 200, answer


def log_of(served: ServedProject) -> list[tuple[int, str, str | None]]:
    """Read the change log in the server's own file: number, row id, the row's text or None."""
    database = sqlite3.connect(f"file:{served.project}/.pylon/app.db?mode=ro", uri=True)
    found = database.execute(
        "SELECT seq, row_id, CASE kind WHEN 'delete' THEN NULL ELSE after END FROM _pylon_log"
        " WHERE entity = 'Note' ORDER BY seq"
    ).fetchall()
    database.close()
    return found


def rows_at(served: ServedProject, seq: int) -> dict[str, Any]:
    """Fold the change log up to a sequence number."""
    texts = {row_id: text for at, row_id, text in log_of(served) if at <= seq}
    return {
        row_id: jsonvalue.decode_trusted(text) for row_id, text in texts.items() if text is not None
    }


def check_replica(served: ServedProject, found: dict[str, Any]) -> str:
    """Hold what a killed browser holds against the log; return how far it was."""
    head = found["head"]
    if head is None or head["cursor"] is None:
        assert found["rows"] == []
        return "empty"
    seq = int(head["cursor"].split(":")[1])
    held = {row["id"]: row for row in found["rows"]}
    subscriptions = [one for one in head["subscriptions"] if one["definition"]["entity"] == "Note"]
    is_exact = subscriptions and all(
        one["phase"] == "done" and int((one["at"] or "x:0").split(":")[1]) <= seq
        for one in subscriptions
    )
    if is_exact:
        assert held == rows_at(served, seq)
        return "exact"
    versions = {(row_id, at): text for at, row_id, text in log_of(served)}
    for row_id, row in held.items():
        assert jsonvalue.decode_trusted(versions[row_id, row["_seq"]] or "") == row
    return "hydrating"


async def write_in_page(page: Page, name: str, *, is_offline: bool) -> list[str]:
    """Write in the page; return what it called stored, or durable, before anything ends it."""
    if is_offline:
        await page.context.set_offline(True)
        await page.wait_for_function("db.status.state === 'offline'")
    written: list[str] = await page.evaluate("""async (name) => {
      const made = [0, 1, 2].map((n) => `mine ${name}.${n}`);
      const kept = new Set();
      for (const body of made) db.insert("Note", { body }).then(() => kept.add(body), () => {});
      const end = performance.now() + 20_000;
      while (kept.size < made.length && performance.now() < end) {
        for (const one of db.pending) if (one.stored) kept.add(one.args.values.body);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return [...kept];
    }""", name)  # fmt: skip
    return written


async def _shown(page: Page, *, of: ServedProject) -> dict[str, Any]:
    """Return the rows of the page once they are the server's: its last commits may be under way."""
    for _ in range(600):
        shown = {row["id"]: row for row in await page.evaluate("notes.rows")}
        if shown == (truth := rows_at(of, 2**53 - 1)):
            return shown
        await asyncio.sleep(0.1)
    raise AssertionError(f"a minute later still {len(shown)} rows that are not these: {truth}")


async def test_replicas_survive_kills_of_the_browser(
    mortal: MortalBrowser, tiny: ServedProject
) -> None:
    """At any moment of a sync: rows are those of the cursor, no stored write is lost or doubled."""
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    alice, bob = await tiny.login("alice@example.com"), await tiny.login("bob@example.com")
    writer = Writer(alice, chance)
    await writer.fill(ROWS)
    writing = asyncio.create_task(writer.run())
    promised: list[str] = []
    states: list[str] = []
    for kill in range(KILLS):
        context = await mortal.start()
        await signed_in(context, tiny, bob)
        if kill > 0:
            states.append(check_replica(tiny, await stored(context, tiny)))
        page = await context.new_page()
        with suppress(Error):
            await page.goto(tiny.url, wait_until="commit")
            if kill % 3 == 2:
                await page.wait_for_function("window.isUp && notes.ready")
                is_offline = kill % 2 == 0
                promised += await write_in_page(page, str(kill), is_offline=is_offline)
            await asyncio.sleep(chance.uniform(0.05, 0.6))
        await mortal.kill()
    context = await mortal.start()
    await signed_in(context, tiny, bob)
    states.append(check_replica(tiny, await stored(context, tiny)))
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    page = await visit(context, tiny)
    await page.wait_for_function(
        "db.status.state === 'live' && notes.ready && db.status.pending === 0", timeout=60_000
    )
    shown = await _shown(page, of=tiny)
    bodies = Counter(row["body"] for row in shown.values())
    assert promised
    seen = {one: bodies[one] for one in promised if bodies[one] != 1}
    left = await page.evaluate("db.pending.map(({ args, state, error }) => [args, state, error])")
    assert seen == {}, f"not once; replicas found {states}; pending {left}"
    print(f"{KILLS} kills, replicas found {Counter(states)}, {len(promised)} stored writes kept")


async def test_an_interrupted_wipe_shows_nothing(
    mortal: MortalBrowser, tiny: ServedProject
) -> None:
    """Killed while another signs in, and started again without a server: nothing of the first."""
    alice = await tiny.login("alice@example.com")
    await alice.insert("Note", body="secret")
    bob = await tiny.login("bob@example.com")
    for delay_ms in (0, 8):
        context = await mortal.start()
        # A sign-in ends the session that was used before: each round begins with another.
        await signed_in(context, tiny, await tiny.login("alice@example.com"))
        page = await visit(context, tiny)
        await page.wait_for_function("notes.rows.length === 1 && db.status.state === 'live'")
        async with asyncio.timeout(60):
            while not (await stored(context, tiny))["rows"]:
                await asyncio.sleep(0.02)
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def note(request: Any, asked: asyncio.Future[None] = asked) -> None:
            if "dev/login" in request.url and not asked.done():
                asked.set_result(None)

        page.on("request", note)
        signing_in = asyncio.create_task(page.evaluate("db.auth.devLogin('bob@example.com')"))
        await asked
        await asyncio.sleep(delay_ms / 1000)
        await mortal.kill()
        await asyncio.gather(signing_in, return_exceptions=True)
        await tiny.stop()
        broken = await BrokenServer().start(tiny.port)
        context = await mortal.start()
        page = await visit(context, tiny)
        await page.wait_for_function("db.status.state === 'offline'")
        shown = await page.evaluate("notes.rows")
        await page.close()
        found = await stored(context, tiny)
        # Over before the kill, they are Bob's, who may see them; the answer did not come to us.
        if (found["head"] or {}).get("principal") != bob.user_id:
            assert shown == []
            assert found["rows"] == []
        await mortal.kill()
        await broken.cleanup()
        await tiny.start()
