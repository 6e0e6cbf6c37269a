"""Paired worlds: two runs that differ in a secret alone, and everything that somebody is sent.

Whoever may not know the secret must get the same in both: of each answer all bytes, status line
and headers too; of each socket the same frames, whose order is decided by threads. Clock, ids and
chance are equal by construction, so that nothing but the secret can make a difference.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from pylon import jsonvalue
from pylon.identity import SYSTEM
from pylon.server.config import load_config
from pylon.testing.harness import Running, seeded_ids
from pylon.testing.inprocess import URL, InProcessRuntime
from pylon.testing.manual_clock import ManualClock
from pylon.testing.network import Link, MemoryNetwork

#: The only header that tells the machine's own time.
_DATE: Final = re.compile(rb"\r\nDate: [^\r]*")
#: Milliseconds without a frame after which none is on its way.
_STILL_PASSES: Final = 60


@dataclass(slots=True)
class Observer:
    """Somebody who asks, and all that he was sent, by what he did to get it."""

    name: str
    session: aiohttp.ClientSession
    sockets: aiohttp.ClientSession
    headers: dict[str, str]
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    frames: list[tuple[str, list[str]]] = field(default_factory=list)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Return everything, made comparable."""
        texts = [(did, _DATE.sub(b"", one).decode(errors="replace")) for did, one in self.answers]
        # An empty batch moves the cursor over what is invisible, whenever it is its time.
        kept = [(did, [one for one in frames if '"changes":[]' not in one])
                for did, frames in self.frames]  # fmt: skip
        return [*texts, *((did, "\n".join(sorted(frames))) for did, frames in kept)]

    def take(self, data: bytes) -> None:
        """Take bytes of an answer as the server writes them."""
        did, before = self.answers[-1]
        self.answers[-1] = (did, before + data)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a request and return the JSON of the answer, None where there is none."""
        text = None if body is None else jsonvalue.encode(body)
        self.answers.append((f"{method} {path} {(text or b'').decode()}", b""))
        given = {**self.headers, "Content-Type": "application/json", **(headers or {})}
        async with self.session.request(method, URL + path, data=text, headers=given) as answer:
            said = await answer.read()
        return jsonvalue.parse(said) if said[:1] in (b"{", b"[") else None

    async def follow(self, *subscriptions: dict[str, Any]) -> None:
        """Open a sync socket with these subscriptions; what it brings is seen as it comes."""
        socket = await self.sockets.ws_connect(
            f"{URL}/api/sync/ws", protocols=("pylon.v1",), headers=self.headers
        )
        hello = {"type": "hello", "protocol": 1, "client_id": self.name,
                 "subscriptions": list(subscriptions)}  # fmt: skip
        await socket.send_str(jsonvalue.encode_text(hello))
        self.frames.append((f"socket {jsonvalue.encode_text(subscriptions)}", []))
        reading = _read(socket, self.frames[-1][1])
        self._readers.append(asyncio.create_task(reading))

    async def leave(self) -> None:
        """Close the sockets."""
        for one in self._readers:
            one.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


async def _read(socket: aiohttp.ClientWebSocketResponse, frames: list[str]) -> None:
    try:
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            frames.append(message.data)
    finally:
        await socket.close()


class World(Running):
    """One of the two worlds, and who looks at it."""

    #: By name, everybody whose bytes are kept.
    observers: dict[str, Observer]
    #: The values that this world keeps from observers, where its script writes them again.
    secret: dict[str, Any]

    def watch(self) -> None:
        """Keep what the server writes to observers."""
        self.observers, self.secret = {}, {}

        def tap(link: Link, data: bytes) -> None:
            if link.client in self.observers:
                self.observers[link.client].take(data)

        self.network.tap = tap

    async def system_update(self, entity: str, row_id: str, **values: Any) -> None:
        """Update a row as the system: no policy is asked."""
        await self._as_system("pylon.update", entity=entity, id=row_id, values=values)

    async def system_delete(self, entity: str, row_id: str) -> None:
        """Delete a row as the system, with whatever goes with it."""
        await self._as_system("pylon.delete", entity=entity, id=row_id)

    async def _as_system(self, fn: str, **args: Any) -> None:
        executor = self.runtime.services.executor
        outcome = await executor.mutate(SYSTEM, fn, args, op_id=None, cause="test")
        assert outcome.error is None, outcome.error

    async def observer(self, email: str | None) -> Observer:
        """Return somebody who asks, signed in or not."""
        name, headers = email or "anonymous", {}
        if email is not None:
            services = self.runtime.services
            issued = await services.sessions.issue(await services.accounts.ensure(email, None))
            headers["Authorization"] = f"Bearer {issued.token}"
        session, sockets = [await self._session(one) for one in (name, f"sockets of {name}")]
        self.observers[name] = one = Observer(name, session, sockets, headers)
        self._stack.push_async_callback(one.leave)
        return one

    async def _session(self, name: str) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=self.network.connector(name), cookie_jar=aiohttp.DummyCookieJar()
        )
        _ = await self._stack.enter_async_context(session)
        return session

    async def quiet(self) -> None:
        """Return when nothing more comes to anybody."""
        still, before = 0, -1
        while still < _STILL_PASSES:
            await asyncio.sleep(0.001)
            now = sum(len(frames) for one in self.observers.values() for _, frames in one.frames)
            still, before = (still + 1 if now == before else 0), now


@asynccontextmanager
async def world(
    project: Path, *, is_dev: bool = False, environment: Mapping[str, str] | None = None
) -> AsyncIterator[World]:
    """Run an app in this process, with nothing left to chance.

    Args:
        project: the app's folder.
        is_dev: as `pylon dev` would, not `pylon serve`.
        environment: what settings name as `env:…`.
    """
    clock, network = ManualClock(), MemoryNetwork()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pylon-world-"))
        config = load_config(project, is_dev=is_dev, environment=environment or {}, flags={})
        runtime = InProcessRuntime(
            config, Path(folder), network, clock=clock, ids=seeded_ids(clock)
        )  # fmt: skip
        await runtime.start(may_migrate=True)
        stack.push_async_callback(runtime.stop)
        made = World(runtime, network, clock, stack)
        made.watch()
        yield made


Script = Callable[[World], Awaitable[None]]


async def differences(
    project: Path, first: Script, second: Script, script: Script, *, is_dev: bool = False
) -> list[str]:
    """Return what observers could tell two worlds apart by; nothing where they can't.

    Args:
        project: the app's folder.
        first: makes the one world.
        second: makes the other: with as many changes as the first, since the log is counted.
        script: what is done in both, by observers and by those who know.
        is_dev: run the app as `pylon dev` would.
    """
    seen: list[dict[str, list[tuple[str, str]]]] = []
    for prepare in (first, second):
        async with world(project, is_dev=is_dev) as made:
            await prepare(made)
            await script(made)
            seen.append({name: one.seen for name, one in made.observers.items()})
    return [
        f"{name} did {did}\nin the first world he got {a}\nin the second {b}"
        for name in seen[0]
        for (did, a), (_, b) in zip(seen[0][name], seen[1][name], strict=True)
        if a != b
    ]
