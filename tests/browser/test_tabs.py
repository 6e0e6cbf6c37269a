"""Tabs of one Chromium, storage that fails, hostile names, servers in trouble."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Page

from pylon.testing.served import ServedProject
from tests.browser.conftest import BrokenServer, signed_in, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined });"
LIVE = "window.isUp && notes.ready && db.status.state === 'live'"


async def _tabs(browser: Browser, tiny: ServedProject, script: str, count: int) -> tuple[
    BrowserContext, list[Page], list[str],
]:  # fmt: skip
    """Return live tabs of one person, and the list of sockets that they open."""
    context = await browser.new_context()
    await context.add_init_script(script)
    await signed_in(context, tiny, await tiny.login("alice@example.com"))
    sockets: list[str] = []
    context.on("page", lambda page: page.on("websocket", lambda one: sockets.append(one.url)))
    pages = [await visit(context, tiny) for _ in range(count)]
    for page in pages:
        await page.wait_for_function(LIVE)
    return context, pages, sockets


async def _crash(context: BrowserContext, page: Page) -> None:
    """Kill the process that shows a page."""
    session = await context.new_cdp_session(page)
    with pytest.raises((Error, TimeoutError)):
        async with asyncio.timeout(1):
            await session.send("Page.crash")


@pytest.mark.alone  # within five seconds
@pytest.mark.parametrize("script", ["", NO_LOCKS], ids=["locks", "no locks"])
async def test_a_killed_leader_is_replaced(
    browser: Browser, tiny: ServedProject, script: str
) -> None:
    """Two tabs, one socket; the leading one dies, the other leads in 5 s; nothing is doubled."""
    context, (leader, follower), sockets = await _tabs(browser, tiny, script, 2)
    assert len(sockets) == 1
    await follower.evaluate("db.insert('Note', { body: 'a' })")
    await leader.wait_for_function("notes.rows.length === 1")
    await follower.evaluate("""() => {
      window.counts = [];
      notes.subscribe((rows) => window.counts.push(rows.length));
    }""")
    started = time.monotonic()
    await _crash(context, leader)
    await follower.evaluate("void db.insert('Note', { body: 'b' })")
    await follower.wait_for_function("db.status.pending === 0 && notes.rows.length === 2")
    seconds = time.monotonic() - started
    print(f"\ntaken over and written in {seconds:.1f} s")
    assert seconds <= 5.0
    assert len(sockets) == 2
    assert await follower.evaluate("window.counts.filter((count) => count === 0)") == []
    alice = await tiny.login("alice@example.com")
    assert [row["body"] for row in (await alice.get("/api/entities/Note")).body["rows"]] == [
        "a", "b",
    ]  # fmt: skip
    third = await visit(context, tiny)
    await third.wait_for_function(LIVE + " && notes.rows.length === 2")
    assert len(sockets) == 2
    await context.close()


async def test_signing_out_in_one_tab_empties_all(browser: Browser, tiny: ServedProject) -> None:
    """Rows of who left are on no page, and the next person is there on all."""
    context, (one, other), _ = await _tabs(browser, tiny, "", 2)
    await one.evaluate("db.insert('Note', { body: 'mine' })")
    await other.wait_for_function("notes.rows.length === 1")
    await other.evaluate("db.auth.signOut()")
    for page in (one, other):
        await page.wait_for_function("notes.rows.length === 0 && db.auth.user === null")
    await one.evaluate("db.auth.devLogin('bob@example.com')")
    await other.wait_for_function("db.auth.user?.email === 'bob@example.com'")
    await other.wait_for_function("notes.rows.length === 1")
    await context.close()


async def test_hostile_names_change_nothing_but_their_own_data(
    browser: Browser, tiny: ServedProject
) -> None:
    """Rows and fields named like parts of every object, on the wire, stored and between tabs."""
    context, (one, other), _ = await _tabs(browser, tiny, "", 2)
    names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]
    await other.evaluate("""async (names) => {
      for (const id of names) {
        const toString = JSON.parse(`{"${id}": 1}`);
        await db.insert("Note", { id, body: id, constructor: id, toString });
      }
    }""", names)  # fmt: skip
    for page in (one, other):
        await page.wait_for_function(f"notes.rows.length === {len(names)}")
        await page.reload()
        await page.wait_for_function(LIVE)
        found = await page.evaluate("""() => notes.rows.map((row) => [
          row.id, row.constructor, JSON.stringify(row.toString), ({}).polluted === undefined])""")
        assert sorted(found) == sorted([name, name, f'{{"{name}":1}}', True] for name in names)
    row = await other.evaluate("db.row('Note', '__proto__').row?.body")
    assert row == "__proto__"
    await context.close()


BLOCKED = "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
HANGING = "IDBFactory.prototype.open = () => ({});"
FULL = """IDBObjectStore.prototype.put = new Proxy(IDBObjectStore.prototype.put, {
  apply(put, store, given) {
    if (store.name === "rows" && window.isFull)
      throw new DOMException("full", "QuotaExceededError");
    return Reflect.apply(put, store, given);
  } });"""


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        (BLOCKED, ""),
        (HANGING, ""),
        (FULL, "window.isFull = true"),
        ("", "indexedDB.deleteDatabase(`pylon:${location.origin}:tiny`)"),
    ],
    ids=["blocked", "hanging", "full", "deleted"],
)
async def test_storage_that_fails_costs_persistence_only(
    browser: Browser, tiny: ServedProject, script: str, trouble: str
) -> None:
    """The page works from memory and says so."""
    context, (page,), _ = await _tabs(browser, tiny, script, 1)
    if trouble:
        assert await page.evaluate("db.status.persistent")
        await page.evaluate(f"void ({trouble})")
    await page.evaluate("db.insert('Note', { body: 'a' })")
    await page.wait_for_function("!db.status.persistent && db.status.state === 'live'")
    assert await page.evaluate("notes.rows.map((row) => row.body)") == ["a"]
    if script != HANGING:  # each start with it waits out its time
        await page.reload()
        await page.wait_for_function(LIVE + " && notes.rows.length === 1")
    await context.close()


async def test_a_broken_server_is_left_in_peace(browser: Browser) -> None:
    """At most ten requests in a minute, whatever the page does, and no work while it waits."""
    server = BrokenServer()
    runner = await server.start()
    context = await browser.new_context()
    page = await context.new_page()
    await page.clock.install()
    await page.goto(server.url)
    await _until_up(page)
    counts: list[tuple[float, int]] = []
    for second in range(70):
        await page.clock.run_for(1_000)
        if second % 5 == 0:
            await page.evaluate("dispatchEvent(new Event('online'))")
        await asyncio.sleep(0.02)
        counts.append((await page.evaluate("Date.now()"), len(server.asked)))
    assert counts[-1][1] > 2
    for now, count in counts:
        minute = [more - count for then, more in counts if now <= then < now + 60_000]
        assert max(minute) <= 10, server.asked
    session = await context.new_cdp_session(page)
    await session.send("Performance.enable")
    before = await _busy_seconds(session)
    await asyncio.sleep(1)
    assert await _busy_seconds(session) - before < 0.05
    await context.close()
    await runner.cleanup()


async def _until_up(page: Page) -> None:
    async with asyncio.timeout(60):
        while not await page.evaluate("window.isUp ?? false"):
            await page.clock.run_for(200)
            await asyncio.sleep(0.02)


async def _busy_seconds(session: Any) -> float:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


async def test_pages_older_than_the_app_asks_for_are_told(
    browser: Browser, tiny: ServedProject
) -> None:
    """After a deploy: each tab by its own build, whoever leads; what it wrote meanwhile is kept."""
    context, (old, new), _ = await _tabs(browser, tiny, "", 2)
    for page, build in ((old, 1), (new, 2)):
        await page.evaluate("""async (build) => {
          const { connect } = await import("/_pylon/client.js");
          db.close();
          window.db = await connect({ build });
          window.told = [];
          db.onStatus(({ error }) => { if (error !== null) window.told.push(error.code); });
        }""", build)  # fmt: skip
        await page.wait_for_function("db.status.state === 'live' && db.status.error === null")
    app = tiny.project / "app.py"
    app.write_text(app.read_text().replace('App("tiny")', 'App("tiny", min_client=2)'))
    await tiny.stop()
    await tiny.start()
    await old.wait_for_function("db.status.error?.code === 'UPGRADE_REQUIRED'")
    await old.evaluate("db.insert('Note', { body: 'from the old page' })")
    await new.wait_for_function("db.status.state === 'live' && db.status.pending === 0")
    assert "UPGRADE_REQUIRED" in await old.evaluate("told")
    assert await new.evaluate("[db.status.error, told.includes('UPGRADE_REQUIRED')]") == [
        None,
        False,
    ]
    alice = await tiny.login("alice@example.com")
    (row,) = (await alice.get("/api/entities/Note")).body["rows"]
    assert row["body"] == "from the old page"
    await context.close()
