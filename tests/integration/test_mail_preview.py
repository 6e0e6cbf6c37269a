"""The page of a mail preview: what it shows can do nothing, and production has none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from pylon.testing.harness import running
from pylon.testing.inprocess import URL
from tests.integration.apps import NOTES


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, Path]]:
    folder = tmp_path / "app"
    (folder / "mail").mkdir(parents=True)
    (folder / "app.py").write_text(NOTES)
    (folder / "mail" / "hi.txt").write_text("Subject: Hi {{ name }}\n\nDear {{ name }}")
    (folder / "mail" / "hi.html").write_text("<script>alert(1)</script><p>{{ name }}</p>")
    async with running(folder) as rt:
        connector = rt.network.connector("owner")
        token = rt.runtime.services.admin_tokens[0]
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as opened:
            yield opened, folder / "mail"


async def test_a_preview_has_a_page_that_shows_and_does_nothing_else(
    session: tuple[aiohttp.ClientSession, Path],
) -> None:
    """HTML goes into a frame without any power; no script but the page's own has its number."""
    ask, folder = session
    body = {"template": "hi", "data": {"name": "<Ada>"}}
    async with ask.post(f"{URL}/api/admin/mail/preview", json=body) as answer:
        found = await answer.json()
    assert (found["subject"], found["text"], found["error"]) == ("Hi <Ada>", "Dear <Ada>", None)
    async with ask.get(URL + found["page"]) as answer:
        page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert 'sandbox=""' in page
    assert "alert" not in page
    nonces = re.findall(r"nonce-(\w{32})'", policy)
    assert page.count(f'<script nonce="{nonces[0]}">') == 1
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")
    (folder / "hi.html").write_text("<p>{{ nobody }}</p>")
    async with ask.get(f"{URL}{found['page']}/data") as answer:
        assert answer.content_type == "application/json"
        shown = await answer.json()
    assert shown["error"]["file"] == "mail/hi.html"
    async with ask.get(f"{URL}/_pylon/dev/mail/guessed") as answer:
        assert answer.status == 404


async def test_wrong_questions_are_refused(
    session: tuple[aiohttp.ClientSession, Path],
) -> None:
    """Names and data of other kinds."""
    ask, _ = session
    wrong = ({}, {"template": 1}, {"template": "hi", "data": []})
    answers = await asyncio.gather(
        *(ask.post(f"{URL}/api/admin/mail/preview", json=one) for one in wrong)
    )
    assert [one.status for one in answers] == [400, 400, 400]
    async with ask.get(f"{URL}/api/admin/mail/templates") as answer:
        assert [one["name"] for one in (await answer.json())["templates"]][-1] == "invitation"
