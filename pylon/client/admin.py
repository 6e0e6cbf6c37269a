"""The admin protocol from outside: what the dashboard and the commands know of a runtime.

Over the project's Unix socket where there is one, else over TCP with the run-time token; for a
runtime elsewhere with the token that the person gives.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote

import aiohttp

from pylon import jsonvalue, limits_data, paths
from pylon.client.curl import curl_line
from pylon.client.event_lines import EventLines
from pylon.client.silence import refusal, silence
from pylon.client.whole import TOO_LONG, whole
from pylon.errors import PayloadTooLarge, PylonError

_ENDED_HINT = "is it still running?"
_HANGS_HINT = "it hangs, or is very busy: `pylon projects restart` starts it anew"
#: Gets (path, body) of each request that may change something; raises AdminError to refuse it.
Guard = Callable[[str, dict[str, Any]], None]
_UNKNOWN_HINT = (
    "it is the PYLON_ADMIN_TOKEN that the runtime there was started with"
    " (or its run-time token, which each start makes anew)"
)
#: What a runtime says of a token that it does not take.
_OF_TOKEN = "admin token"  # noqa: S105 -- words about one
_TOO_LONG_HINT = (
    "no runtime answers so much: is that the app's own address? Another's, do not attach to it;"
    " yours, ask for less by a filter"
)
#: A refusal is for people to read: what is longer is cut.
_MESSAGE_CHARACTERS_MAX = 20_000
_CHUNK_BYTES = 262_144
#: How long an answer is waited for.
ANSWER_SECONDS = 30
_TIMEOUT = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=5)


class AdminError(PylonError):
    """The runtime did not answer, or refused."""

    code = "ADMIN_FAILED"

    def __init__(self, message: str, *, answer: dict[str, Any] | None = None) -> None:
        hint = (answer or {}).get("hint")
        super().__init__(message, hint=None if hint is None else str(hint))
        if answer is not None:
            self.code = str(answer.get("code", self.code))
            details = answer.get("details")  # of another version it may be of another type
            self.details = details if isinstance(details, dict) else {}


class AdminClient:
    """Talks to one runtime."""

    _asked_last: ClassVar[AdminClient | None] = None

    def __init__(
        self, base: str, *, socket_path: Path | None = None, token: str | None = None
    ) -> None:
        self._base = base.rstrip("/")
        self._socket_path = socket_path
        self._token = token
        self._token_path: Path | None = None
        self._session: aiohttp.ClientSession | None = None
        #: It is this user's own, on this machine; else nobody knows what answers.
        self.is_local = False
        self.guard: Guard = lambda path, body: None
        #: Is entered while an answer is waited for, to tell a person of that.
        self.waiting: Callable[[], AbstractContextManager[None]] = nullcontext

    @classmethod
    def local(cls, project: Path, port: int | None = None) -> AdminClient:
        """Return the client of a project's own runtime."""
        socket_path = paths.admin_socket_path(project)
        client = cls(f"http://127.0.0.1:{port or 4321}", socket_path=socket_path)
        client._token_path = paths.admin_token_path(project)
        client.is_local = True
        return client

    @classmethod
    def asked_last(cls) -> AdminClient | None:
        """Return a client of the runtime that this process asked last; None where it asked none."""
        before = cls._asked_last
        if before is None:
            return None
        client = cls(before._base, socket_path=before._socket_path, token=before._token)
        client._token_path, client.is_local = before._token_path, before.is_local
        return client

    def _open(self) -> aiohttp.ClientSession:
        AdminClient._asked_last = self
        if self._session is None:
            connector = (
                aiohttp.UnixConnector(path=str(self._socket_path))
                if self._socket_path is not None
                else None
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, json_serialize=jsonvalue.encode_text
            )
        return self._session

    @staticmethod
    def quoted(part: str) -> str:
        """Return text as one part of a path."""
        return quote(part, safe="")

    def endpoint(
        self, path: str
    ) -> tuple[str, str | None, Callable[[], aiohttp.BaseConnector] | None]:
        """Return (url, token, connector) of /api/PATH, for a client that asks below it."""
        base = f"{self._base}/api/{path}"
        if self._socket_path is None:
            return base, self._given_token, None
        socket_path = str(self._socket_path)
        return base, self._given_token, lambda: aiohttp.UnixConnector(socket_path)

    def curl(self, path: str, body: Any = None, **params: str | None) -> str:
        """Return the line of curl that asks the same of /api/PATH, and runs as it is."""
        has_file = self._token_path is not None and self._token_path.is_file()
        return curl_line(
            self._base, path, body, socket_path=self._socket_path,
            token_path=self._token_path if has_file else None, **params,
        )  # fmt: skip

    @property
    def _given_token(self) -> str | None:
        if self._token is not None or self._socket_path is not None or self._token_path is None:
            return self._token
        return self._token_path.read_text().strip() if self._token_path.is_file() else None

    @property
    def _headers(self) -> dict[str, str]:
        token = self._given_token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """GET /api/PATH; raises AdminError."""
        given = {name: str(value) for name, value in params.items() if value is not None}
        return await self._ask("GET", path, params=given)

    async def post(
        self, path: str, body: dict[str, Any], *, is_patient: bool = False
    ) -> dict[str, Any]:
        """POST /api/PATH; raises AdminError. Who is patient waits as long as it takes."""
        self.guard(path, body)
        waits = {"timeout": aiohttp.ClientTimeout(total=None, connect=5)} if is_patient else {}
        return await self._ask("POST", path, json=body, **waits)

    async def call(
        self, name: str, args: dict[str, Any], user: str | None = None,
        on_part: Callable[[Any], None] | None = None,
    ) -> Any:  # fmt: skip
        """Call a function and return its value, however long it takes; raises AdminError.

        Args:
            name: the function.
            args: its arguments.
            user: whom it is called as, an address, an id or `anonymous`; None: the system.
            on_part: takes the parts of an action that streams as they come; its value is null
                then. Without it the value is the list of them.

        Leaving it (a cancelled task) cancels an action, too.
        """
        accept = "application/json" if on_part is None else "text/event-stream"
        body = {"fn": name, "args": args, "as": user}
        self.guard("admin/call", body)
        try:
            with ExitStack() as waited:
                waited.enter_context(self.waiting())
                async with self._open().post(
                    f"{self._base}/api/admin/call", json=body, allow_redirects=False,
                    headers={**self._headers, "Accept": accept},
                    timeout=aiohttp.ClientTimeout(total=None, connect=5),
                ) as answer:  # fmt: skip
                    if on_part is not None and answer.content_type == "text/event-stream":
                        waited.close()
                        return await self._read_parts(answer, on_part)
                    data = await self._whole(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(error) from error
        return self._read(answer, data).get("value")

    async def _read_parts(
        self, answer: aiohttp.ClientResponse, on_part: Callable[[Any], None]
    ) -> Any:
        lines = EventLines()
        async for chunk in answer.content.iter_any():
            for name, data in lines.take(chunk):
                found = _object_in(data)
                if found is None:
                    raise self._foreign(answer)
                if name == "part":
                    on_part(found.get("value"))
                elif name == "error":
                    raise _refused(found) or self._foreign(answer)
                elif name == "returned":
                    return found.get("value")
            if lines.held_bytes > limits_data.ANSWER_BYTES_MAX:
                raise self._too_long("a part of the answer")
        raise AdminError("the answer ended early", answer={"hint": _ENDED_HINT})

    async def _ask(self, method: str, path: str, **keywords: Any) -> dict[str, Any]:
        try:
            with self.waiting():
                async with self._open().request(
                    method, f"{self._base}/api/{path}", headers=self._headers,
                    allow_redirects=False, **keywords,
                ) as answer:  # fmt: skip
                    data = await self._whole(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(error) from error
        return self._read(answer, data)

    async def _whole(self, answer: aiohttp.ClientResponse) -> bytes:
        """Return the body of an answer; raises AdminError for one that no runtime gives."""
        try:
            return await whole(answer)
        except PayloadTooLarge as error:
            raise self._too_long("the answer") from error

    @property
    def _where(self) -> str:
        return "the runtime" if self._socket_path is not None else f"the runtime at {self._base}"

    def _too_long(self, what: str) -> AdminError:
        """Return the error for more than is taken of a runtime."""
        return AdminError(f"{what} of {self._where} is {TOO_LONG}", answer={"hint": _TOO_LONG_HINT})

    def _foreign(self, answer: aiohttp.ClientResponse) -> AdminError:
        """Return the error for an answer that no Pylon runtime gives."""
        message, hint = refusal(answer.status, self._base, answer.headers.get("Location", ""))
        return AdminError(message, answer={"hint": hint})

    def _silent(self, error: Exception) -> AdminError:
        """Return the error that says why nobody answers, and what to do."""
        if self._socket_path is not None and isinstance(error, TimeoutError):
            message = f"the runtime does not answer: nothing came within {ANSWER_SECONDS} s"
            return AdminError(message, answer={"hint": _HANGS_HINT})
        message, hint = silence(error, self._where)
        return AdminError(message, answer={"hint": hint})

    def _read(self, answer: aiohttp.ClientResponse, data: bytes) -> dict[str, Any]:
        """Return the JSON object of an answer; raises AdminError for a refusal, or what is none."""
        value = _object_in(data or b"{}")
        refused = _refused(value) if answer.status >= 400 else None
        if refused is not None:
            raise refused
        if value is None or answer.status >= 300:
            raise self._foreign(answer)
        return value

    async def download(self, path: str, target: BinaryIO) -> str:
        """Write what GET /api/PATH answers into a file; returns its header X-Pylon-Contents.

        Raises AdminError, also where the answer ends early.
        """
        try:
            with ExitStack() as waited:
                waited.enter_context(self.waiting())
                async with self._open().get(
                    f"{self._base}/api/{path}", headers=self._headers, allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=5),
                ) as answer:  # fmt: skip
                    waited.close()
                    if answer.status >= 300:
                        self._read(answer, await self._whole(answer))  # raises
                    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                        target.write(chunk)
                    return answer.headers.get("X-Pylon-Contents", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._silent(error) from error

    async def stream(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the messages of the admin stream until it ends; raises AdminError."""
        try:
            async with self._open().ws_connect(
                f"{self._base}/api/admin/stream", headers=self._headers, heartbeat=15,
                max_msg_size=limits_data.ANSWER_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            ) as socket:  # fmt: skip
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        value = _object_in(message.data)
                        if value is None:
                            raise AdminError(f"{self._where} streams what no Pylon runtime does")
                        yield value
                if socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                    raise self._too_long("a message of the stream")
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                raise AdminError("the admin token is not accepted any more") from error
            what, hint = refusal(error.status, self._base)
            raise AdminError(what, answer={"hint": hint}) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(error) from error


def _object_in(data: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object that was sent; None where it is anything else."""
    try:
        value = jsonvalue.decode_trusted(data)
    except (ValueError, RecursionError, PylonError):
        return None
    return value if isinstance(value, dict) else None


def _refused(value: dict[str, Any] | None) -> AdminError | None:
    """Return the error that an answer tells; None where it tells none as Pylon does."""
    error = (value or {}).get("error")
    if not isinstance(error, dict) or "message" not in error:
        return None
    # A function that is called as nobody may refuse that, too: no token helps there.
    if error.get("code") == "UNAUTHENTICATED" and _OF_TOKEN in str(error["message"]):
        error = {"hint": _UNKNOWN_HINT, **error}
    return AdminError(str(error["message"])[:_MESSAGE_CHARACTERS_MAX], answer=error)
