"""A real runtime process on a project of its own, and callers that talk to it over the wire.

For tests and benchmarks: real sockets, real files, a real second process.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from pylon import jsonvalue

_START_SECONDS = 45.0
_STOP_SECONDS = 30.0
#: The longest line that a runtime may print.
LINE_BYTES_MAX = 2**22


class RuntimeProcess(Protocol):
    """A process as far as it is needed here: asyncio's own, or one that was forked warm."""

    @property
    def pid(self) -> int:
        """Return the process id."""

    @property
    def returncode(self) -> int | None:
        """Return the exit code; None while it runs."""

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Return what it prints."""

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""

    def send_signal(self, signal: int, /) -> None:
        """Send a signal; raises ProcessLookupError where it has ended."""

    def kill(self) -> None:
        """Send SIGKILL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the JSON body, the headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str | None:
        """Return the code of an error."""
        return self.body["error"]["code"] if isinstance(self.body, dict) and "error" in self.body \
            else None  # fmt: skip


class DidNotStart(Exception):
    """The runtime ended before it answered; carries what it printed."""


class DidNotStop(Exception):
    """The runtime did not end in time and was killed; carries what it printed."""


class ServedProject:
    """One runtime process; keeps its port over restarts."""

    def __init__(
        self, project: Path, state: Path, *, mode: str = "dev", extra: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.project = project
        self.state = state
        self._mode = mode
        self._extra = extra
        self._environment = {
            **os.environ, "PYLON_STATE_DIR": str(state), **(environment or {})
        }  # fmt: skip
        self._process: RuntimeProcess | None = None
        self._session: aiohttp.ClientSession | None = None
        self._reader: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def process(self) -> RuntimeProcess:
        """Return the process."""
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        """Return everything that it printed."""
        return "\n".join(self.lines)

    async def start(self) -> ServedProject:
        """Start the process and return when it answers; raises DidNotStart."""
        self._process = await self._spawn(
            "--project", str(self.project), "--mode", self._mode, "--port", str(self.port),
            "--detach", *self._extra,
        )  # fmt: skip
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(self._process, ready))
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.port = await ready
        except TimeoutError:
            said = self.output or "nothing was printed"
            raise DidNotStart(f"no answer within {_START_SECONDS:g} s: {said}") from None
        except DidNotStart:
            await self._process.wait()
            raise
        return self

    async def _spawn(self, *arguments: str) -> RuntimeProcess:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon.server", *arguments, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=LINE_BYTES_MAX,
        )  # fmt: skip

    async def _read(self, process: RuntimeProcess, ready: asyncio.Future[int]) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            self.lines.append(text)
            if text.startswith("listening on ") and not ready.done():
                ready.set_result(int(text.rpartition(":")[2]))
        if not ready.done():
            ready.set_exception(DidNotStart(self.output))

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        if self._process is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise DidNotStop(self.output) from None
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        return code

    async def close(self) -> None:
        """End the process and every connection to it."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._process is not None and self._process.returncode is None:
            await self.stop()
        elif self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    # --- talking to it

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session that all callers share; it keeps no cookies."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def anonymous(self) -> Caller:
        """Return a caller that is not signed in."""
        return Caller(self, None, None)

    async def login(self, email: str) -> Caller:
        """Return a signed-in caller, by the development login."""
        answer = await self.anonymous().post("/api/auth/dev/login", {"email": email})
        assert answer.status == 200, answer
        return Caller(self, answer.body["token"], answer.body["user_id"])


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who talks to a runtime, signed in or not."""

    served: ServedProject
    token: str | None
    user_id: str | None

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of this caller."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def ask(
        self, method: str, path: str, value: Any = None, *, data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Send one request; `data` sends bytes as they are."""
        given = {**self.headers, **(headers or {})}
        body = data
        if body is None and value is not None:
            body = jsonvalue.encode(value)
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.served.session.request(
            method,
            self.served.url + path,
            data=None if body is None else io.BytesIO(body),
            headers=given,
            allow_redirects=False,
        ) as answer:
            raw = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            found = jsonvalue.parse(raw) if is_json and raw else raw.decode("utf-8", "replace")
            return Answer(answer.status, found, answer.headers)

    async def get(self, path: str) -> Answer:
        """GET."""
        return await self.ask("GET", path)

    async def post(self, path: str, value: Any) -> Answer:
        """POST."""
        return await self.ask("POST", path, value)

    async def insert(self, entity: str, /, **values: Any) -> dict[str, Any]:
        """Insert a row and return it."""
        answer = await self.post(f"/api/entities/{entity}", values)
        assert answer.status == 201, answer
        row: dict[str, Any] = answer.body
        return row

    async def call(self, name: str, /, **args: Any) -> Answer:
        """Call a function."""
        return await self.post(f"/api/fn/{name}", args)

    async def sync(
        self, *subscriptions: dict[str, Any], client_id: str = "test", cursor: str | None = None,
        version: int = 1,
    ) -> SyncSocket:  # fmt: skip
        """Open a sync socket and say hello."""
        socket = await self.served.session.ws_connect(
            self.served.url + "/api/sync/ws", protocols=("pylon.v1",), headers=self.headers,
            max_msg_size=0, autoping=True,
        )  # fmt: skip
        opened = SyncSocket(socket)
        hello: dict[str, Any] = {
            "type": "hello", "protocol": version, "client_id": client_id,
            "subscriptions": list(subscriptions),
        }  # fmt: skip
        if cursor is not None:
            hello["cursor"] = cursor
        await opened.send(hello)
        return opened


class SyncSocket:
    """One sync socket; keeps what came, so that tests can look at all of it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        #: The length of the longest message that came.
        self.largest = 0

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self.socket.send_str(jsonvalue.encode_text(message))

    async def next(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Return the next message; a close comes as {"type": "closed", "code": …}."""
        async with asyncio.timeout(timeout_s):
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            value: dict[str, Any] = jsonvalue.decode_trusted(message.data)
            self.largest = max(self.largest, len(message.data))
        else:
            value = {"type": "closed", "code": self.socket.close_code}
        self.seen.append(value)
        return value

    async def until(self, kind: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Return the next message of a type."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.next(timeout_s)
                if message["type"] == kind:
                    return message
                assert message["type"] != "closed", f"closed while waiting for {kind}: {self.seen}"

    async def close(self) -> None:
        """Close it."""
        await self.socket.close()
