"""Callers over HTTP and the socket of an app that runs in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp

from pylon.testing import running
from pylon.testing.harness import Running
from pylon.testing.inprocess import URL
from pylon.testing.served import Caller, ServedProject


@dataclass
class House:
    """A running app, and how to become somebody who talks to it."""

    rt: Running
    session: aiohttp.ClientSession
    url: str = URL
    _callers: dict[str, Caller] = field(default_factory=dict)

    async def login(self, email: str, *roles: str) -> Caller:
        """Return a caller with a session of his own."""
        services = self.rt.runtime.services
        account = await services.accounts.ensure(email, frozenset(roles))
        issued = await services.sessions.issue(account)
        return Caller(cast(ServedProject, self), issued.token, account.id)

    def anonymous(self) -> Caller:
        """Return somebody who is not signed in."""
        return Caller(cast(ServedProject, self), None, None)

    @property
    def services(self) -> Any:
        """Return the services of the runtime."""
        return self.rt.runtime.services


@asynccontextmanager
async def house(folder: Path, app: str) -> AsyncIterator[House]:
    """Run the text of an app."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(app)
    async with running(folder) as rt:
        connector = rt.network.connector("callers")
        async with aiohttp.ClientSession(connector=connector) as session:
            yield House(rt, session)
