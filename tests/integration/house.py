"""An app in this process with its whole HTTP surface, and visitors with browsers of their own.

The clock stands still until a test moves it: ten minutes of a code take no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import aiohttp

from pylon import jsonvalue
from pylon.testing.harness import Running, running
from pylon.testing.inprocess import URL
from pylon.testing.served import Answer
from tests.integration.apps import NOTES


class Browser:
    """Somebody with a cookie jar; as a page of the app asks, or as a program does."""

    def __init__(
        self, session: aiohttp.ClientSession, mailed: Callable[[], Awaitable[None]], *,
        is_page: bool,
    ) -> None:  # fmt: skip
        self._session = session
        self._mailed = mailed
        self._is_page = is_page
        self.token: str | None = None

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask; returns what came back."""
        given = {"Origin": URL, "Sec-Fetch-Site": "same-origin"} if self._is_page else {}
        if self.token is not None:
            given["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            given["Content-Type"], data = "application/json", jsonvalue.encode(body)
        async with self._session.request(
            method, URL + path, data=data, headers={**given, **(headers or {})},
            allow_redirects=False,
        ) as answer:  # fmt: skip
            content = await answer.read()
            is_json = bool(content) and answer.content_type == "application/json"
            return Answer(
                answer.status, jsonvalue.parse(content) if is_json else content, answer.headers
            )

    async def get(self, path: str) -> Answer:
        """Ask for something."""
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any) -> Answer:
        """Send something."""
        return await self.ask("POST", path, body)

    async def send(self, email: str) -> Answer:
        """Ask for a code, and wait until its mail is there."""
        answer = await self.post("/api/auth/magic/send", {"email": email})
        await self._mailed()
        return answer

    async def verify(self, email: str, code: str) -> Answer:
        """Sign in with a code."""
        return await self.post("/api/auth/magic/verify", {"email": email, "code": code})

    @property
    def cookies(self) -> dict[str, str]:
        """Return the cookies of the jar."""
        return {one.key: one.value for one in self._session.cookie_jar}


class House:
    """The running app and its mails."""

    def __init__(self, rt: Running, stack: AsyncExitStack) -> None:
        self.rt = rt
        self.services = rt.runtime.services
        self._stack = stack

    async def browser(self, *, is_page: bool = True) -> Browser:
        """Return somebody with an empty cookie jar."""
        session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=self.rt.network.connector("visitor"),
                cookie_jar=aiohttp.CookieJar(unsafe=True),
            )
        )
        return Browser(session, self.mailed, is_page=is_page)

    async def program(self) -> Browser:
        """Return somebody without a page."""
        return await self.browser(is_page=False)

    async def mailed(self) -> None:
        """Return when no mail waits any more."""
        live = "SELECT 1 FROM _pylon_jobs WHERE state IN ('available', 'running') LIMIT 1"
        async with asyncio.timeout(60):
            while self.services.database.readers.inline.rows(live, ()):
                await asyncio.sleep(0.002)

    def mails(self, email: str) -> list[str]:
        """Return the texts of the mails to an address, oldest first."""
        found = []
        for path in sorted((self.rt.runtime._data_folder / "outbox").glob("*.eml")):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            if mail["To"] == email:
                body = mail.get_body(("plain",))
                text = "" if body is None else body.get_content()
                found.append(text.replace("\r\n", "\n"))
        return found

    def code(self, email: str) -> str:
        """Return the code of the newest mail to an address."""
        return self.mails(email)[-1].split("\n\n")[1].strip()

    async def signed_in(self, email: str, *, is_page: bool = True) -> Browser:
        """Return somebody who signed in with a code; a program holds its token."""
        one = await self.browser(is_page=is_page)
        await one.send(email)
        answer = await one.verify(email, self.code(email))
        assert answer.status == 200, answer.body
        if not is_page:
            one.token = answer.body["token"]
        return one


@asynccontextmanager
async def house(folder: Path, toml: str = "", app: str = NOTES) -> AsyncIterator[House]:
    """Run an app in a folder."""
    project = folder / "app"
    project.mkdir()
    (project / "app.py").write_text(app)
    (project / "pylon.toml").write_text(toml)
    async with AsyncExitStack() as stack:
        rt = await stack.enter_async_context(running(project))
        yield House(rt, stack)
