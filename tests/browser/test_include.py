"""Neighbours, search and sums in a real browser, in a leading tab and in one that follows."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from pylon.testing.served import ServedProject
from tests.browser.conftest import signed_in, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


async def test_every_tab_shows_rows_with_their_neighbours(
    browser: Browser, tiny: ServedProject
) -> None:
    """The file is loaded when it is asked for; a neighbour that changes changes everywhere."""
    alice = await tiny.login("alice@example.com")
    note = await alice.insert("Note", body="plain words")
    context = await browser.new_context()
    await signed_in(context, tiny, alice)
    loaded: list[str] = []
    context.on("request", lambda one: loaded.append(one.url.rpartition("/")[2]))
    pages = [await visit(context, tiny) for _ in range(2)]
    assert "include.js" not in loaded
    for page in pages:
        await page.evaluate("""() => {
          window.around = db.query("Note", { include: ["author.notes"] });
          around.subscribe(() => {});
        }""")
        await page.wait_for_function("around.ready && around.rows.length === 1")
        author = await page.evaluate("around.rows[0].author")
        assert (author["id"], [one["id"] for one in author["notes"]]) == (
            alice.user_id, [note["id"]]
        )  # fmt: skip
    assert loaded.count("include.js") == 2
    await pages[1].evaluate(f"db.update('User', '{alice.user_id}', {{ name: 'Alicia' }})")
    for page in pages:
        await page.wait_for_function("around.rows[0].author.name === 'Alicia'")
        assert await page.evaluate("db.search('Note', 'wor').then((rows) => rows.length)") == 1
        asked = "db.aggregate('Note', { aggregates: { n: { count: '*' } } })"
        assert await page.evaluate(asked) == [{"n": 1}]
    await context.close()
