"""Who asks, every byte that they are sent, and the judge of it: a slow reference policy."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from pylon import jsonvalue
from pylon.clock import iso_ms
from pylon.identity import ANONYMOUS, Identity, IdentityKind, Scope
from pylon.server.storage.change_log import LogRecord
from pylon.testing.inprocess import URL
from pylon.testing.network import Link
from pylon.testing.paired import World
from pylon.testing.simulation.oracle import Oracle

CANARY: Final = re.compile("cnry[0-9a-z]{12,13}|7[0-9]{15}")
#: Members of answers whose value is for whom it was said to, and nobody else.
#: What explanations of `pylon dev` show an admin of rows that he may not read: what is compared.
_COMPARED: Final = {"Paper": ("title", "teamId", "ownerId")}
_SECRET_MEMBERS: Final = ("token", "secret", "url", "code")
#: A token of somebody, and he: what one brings is the other's.
_SAME: Final = {"owner": ("scoped",), "scoped": ("owner",)}
_TAIL: Final = 200
_HANGS_SECONDS: Final = 60
OPERATOR: Final = "operator"
#: What a slice tells whom it names: the key by which rows of others are compared with a row that
#: looks at him, whether or not he may read that row (docs/security.md).
_JOIN_KEYS: Final = {"Ban": ("teamId", "userId"), "Seat": ("teamId", "userId")}


@dataclass(slots=True)
class Principal:
    """One who asks; `is_alive` turns false where his session or account ends."""

    name: str
    session: aiohttp.ClientSession
    token: str | None = None
    user_id: str | None = None
    scope: Scope | None = None
    is_alive: bool = True
    streams: list[asyncio.Task[None]] = field(default_factory=list)
    #: The socket that follows everything.
    live: aiohttp.ClientWebSocketResponse | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Return what says who he is."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


class Crowd:
    """Everybody, and what each was sent; judged step by step."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.services = made.runtime.services
        self.people: dict[str, Principal] = {}
        #: Exact texts that are for these people only.
        self.secrets: dict[str, set[str]] = {}
        self.leaks: list[str] = []
        #: How many canaries reached somebody who may have them.
        self.seen_rightly: dict[str, int] = defaultdict(int)
        #: Answers by principal and request, to know which route said yes to anybody.
        self.answered: list[tuple[str, str, str, int]] = []
        #: Where each canary stands, or stood: entity and row.
        self.placed: dict[str, set[tuple[str, str]]] = defaultdict(set)
        #: Frames by who got them and their type.
        self.frames: Counter[tuple[str, str]] = Counter()
        #: Who loses a right during the test; to the others nothing comes too late.
        self.losers: frozenset[str] = frozenset()
        #: The head when nothing was on its way to them.
        self._barrier = 0
        #: What stood around a canary where somebody was sent it last.
        self._shown: dict[tuple[str, str], str] = {}
        #: The head and the callers as the step before began.
        self._before: tuple[int, dict[str, Identity | None]] = (0, {})
        self._tails: dict[Link, str] = {}
        self._fresh: list[tuple[str, str]] = []
        definition = self.services.definitions.current
        self.oracle = Oracle(definition, made.clock.monotonic, lambda _: [self._now()])
        self.services.database.writer.on_commit(self._committed)
        made.network.tap = self._sent

    def _now(self) -> str:
        return iso_ms(self.services.clock.now_ms())

    # --- what happens

    def _committed(self, records: list[LogRecord], _: int) -> None:
        self.oracle.take(records)
        for one in records:
            for token in CANARY.findall(str(one.after)) if one.after else ():
                self.placed[token].add((one.entity, one.row_id))

    def _sent(self, link: Link, data: bytes) -> None:
        """Note the canaries and secrets in what the server writes to somebody."""
        before = self._tails.get(link, "")
        text = before + data.decode("latin-1")
        self._tails[link] = text[-_TAIL:]
        for found in CANARY.finditer(text):
            # A number of some other origin may look like one.
            if found.end() > len(before) and (found[0] in self.placed or found[0][0] == "c"):
                self._fresh.append((link.client, found[0]))
                self._shown[link.client, found[0]] = text[max(0, found.start() - 600) :][:900]
        for one in self.secrets:
            if text.find(one, max(0, len(before) - len(one) + 1)) >= 0:
                self._fresh.append((link.client, one))

    async def join(self, name: str, **known: Any) -> Principal:
        """Add somebody."""
        session = await self.world._session(name)
        self.people[name] = one = Principal(name, session, **known)
        if one.token is not None:
            self.keep(one.token, name)
        return one

    def keep(self, text: str, *names: str) -> None:
        """Note a text that is for these people only."""
        self.secrets.setdefault(text, set()).update(names)

    # --- asking

    async def ask(
        self, one: Principal, method: str, path: str, body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:  # fmt: skip
        """Ask as somebody, and judge what he and everybody else was sent meanwhile."""
        said = "" if body is None else jsonvalue.encode_text(body)
        async with self.step(f"{one.name}: {method} {path} {said}", one.name, path + said):
            return await self.request(one, method, path, said, headers)

    async def request(
        self, one: Principal, method: str, path: str, said: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:  # fmt: skip
        """Ask without a judgement of its own: within a step."""
        given = {**one.headers, **(headers or {})}
        if said:
            given.setdefault("Content-Type", "application/json")
        async with (
            asyncio.timeout(_HANGS_SECONDS),
            one.session.request(
                method, URL + path, data=said.encode() or None, headers=given,
                allow_redirects=False,
            ) as answer,
        ):  # fmt: skip
            content = await answer.read()
        self.answered.append((one.name, method, path, answer.status))
        for cookie in answer.cookies.values():
            if cookie.value:
                self.keep(cookie.value, one.name)
        assert answer.status < 500 or "broken" in path + said, (method, path, said, content)
        is_json = bool(content) and answer.content_type == "application/json"
        # What an answer may be long with, a request may not.
        read = jsonvalue.decode_trusted if path.startswith("/api/admin/") else jsonvalue.parse
        value = read(content) if is_json else content
        if isinstance(value, dict) and "error" not in value:
            for member in _SECRET_MEMBERS:
                text = value.get(member)
                if not isinstance(text, str):
                    continue
                if not text.startswith("/api/files/"):
                    self.keep(text, one.name)
                elif method == "POST" and path.startswith("/api/files"):
                    # Ids of files may be known to who brought them and to the owner of the
                    # machine; in a row they are its reader's, too.
                    self.keep(text, one.name, OPERATOR, *_SAME.get(one.name, ()))
        return answer.status, value

    def stream(self, one: Principal, path: str) -> None:
        """Open a stream of events that nobody closes; what it brings is judged as it comes."""

        async def read() -> None:
            async with one.session.get(URL + path, headers=one.headers) as answer:
                self.answered.append((one.name, "GET", path, answer.status))
                async for _ in answer.content.iter_any():
                    pass

        one.streams.append(asyncio.create_task(read()))

    async def socket(
        self, one: Principal, path: str, hello: dict[str, Any] | None = None
    ) -> aiohttp.ClientWebSocketResponse | None:
        """Open a socket and read it for ever; None where it is refused."""
        try:
            opened = await one.session.ws_connect(
                URL + path, protocols=("pylon.v1",), headers=one.headers
            )
        except aiohttp.WSServerHandshakeError as error:
            self.answered.append((one.name, "GET", path, error.status))
            return None
        self.answered.append((one.name, "GET", path, 101))

        async def read() -> None:
            while (message := await opened.receive()).type is aiohttp.WSMsgType.TEXT:
                kind = jsonvalue.decode_trusted(message.data)["type"]
                self.frames[one.name, kind] += 1
            await opened.close()

        if hello is not None:
            await opened.send_str(jsonvalue.encode_text(hello))
        one.streams.append(asyncio.create_task(read()))
        return opened

    async def leave(self) -> None:
        """End all streams."""
        tasks = [task for one in self.people.values() for task in one.streams]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Return when nothing of before is on its way: what comes then is judged by then alone."""
        for _ in range(2):
            async with self.step("nothing"):
                await self.world.advance(5)  # what is paced waits for the clock
                await self.quiet(60)
        self._barrier = self.oracle.head

    async def quiet(self, passes: int = 15) -> None:
        """Return when nothing more comes to anybody, as far as so many passes show."""
        still, before = 0, -1
        while still < passes:
            await asyncio.sleep(0.001)
            now = len(self._fresh) + self.oracle.head
            still, before = (still + 1 if now == before else 0), now

    # --- judging

    @asynccontextmanager
    async def step(self, did: str, by: str = "", said: str = "") -> AsyncIterator[None]:
        """Judge what is sent in this block by all states of the rows and callers within it.

        And within the step before: on a busy machine something may still have been on its way.
        """
        (since, before), now = self._before, self._callers()
        self._before = self.oracle.head, now
        callers = [before, now]
        yield
        if self.oracle.head != self._before[0]:
            await self.quiet()
        callers.append(self._callers())
        fresh, self._fresh = set(self._fresh), []
        for name, token in sorted(fresh):
            if name == by and token in said:
                continue
            is_explained = by == name == "admin" and said.startswith("/api/explain/")
            if any(self._may_have(name, token, each, since) for each in callers) or (
                is_explained and self._is_compared(token)
            ):
                self.seen_rightly[name] += 1
            else:
                where = sorted(self.placed.get(token, ()))
                shown = self._shown.get((name, token), "")
                self.leaks.append(
                    f"{did}\n  {name} was sent {token}, which stands in {where}\n  {shown}"
                )

    def _callers(self) -> dict[str, Identity | None]:
        return {name: self._identity(one) for name, one in self.people.items()}

    def _identity(self, one: Principal) -> Identity | None:
        """Return who somebody is now, by what the accounts say; None for nobody any more."""
        if not one.is_alive:
            return None
        if one.user_id is None:
            return ANONYMOUS
        account = self.services.accounts.find(one.user_id)
        if account is None or account.disabled:
            return None
        return Identity(kind=IdentityKind.USER, user_id=one.user_id, email=account.email,
                        roles=account.roles, scope=one.scope)  # fmt: skip

    def _is_compared(self, token: str) -> bool:
        rows = [(entity, self.oracle.row(entity, row_id)) for entity, row_id in self.placed[token]]
        return any(
            row and token in str([row[name] for name in _COMPARED.get(entity, ())])
            for entity, row in rows
        )

    def _may_have(
        self, name: str, token: str, callers: dict[str, Identity | None], since: int
    ) -> bool:
        if token in self.secrets:
            return name in self.secrets[token]
        if name == OPERATOR:
            return True  # the machine is his; secrets are above
        identity = callers.get(name)
        if identity is None:
            return False
        for entity, row_id in self.placed.get(token, ()):
            if identity.scope is not None and entity not in (identity.scope.entities or ()):
                continue
            # What is late was true when its row became so; whoever lost a right gets nothing late.
            barrier = self._barrier if name in self.losers else 0
            became = self.oracle.changes(entity, row_id, barrier)
            for seq in {since, self.oracle.head, *range(since, self.oracle.head), *became}:
                row = self.oracle.row(entity, row_id, seq)
                moment = self.oracle.moment(seq)
                seen = row and self.oracle.seen(identity, entity, row, moment)
                if row and entity in _JOIN_KEYS:
                    key, who = _JOIN_KEYS[entity]
                    seen = [seen, row[key] if row[who] == identity.user_id else None]
                if seen and token in str(seen):
                    return True
        return False
