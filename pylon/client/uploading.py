"""Uploads of the Python client: a small file whole, a larger one in pieces.

After whatever went wrong the server is asked how far the upload has come: no answer that was lost
is guessed. The browser's client follows the same rules (`upload-machine.ts`).
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pylon.client.connection import ServerRefused
from pylon.clock import Clock
from pylon.errors import InvalidArgument, PylonError

#: Up to here a file goes in one request.
WHOLE_BYTES_MAX: Final = 1 << 20
PIECE_BYTES_MIN: Final = 1 << 16
PIECE_BYTES_MAX: Final = 1 << 23
_PIECE_BYTES_FIRST: Final = 1 << 19
_QUICK_SECONDS, _SLOW_SECONDS = 0.5, 3.0
_WAIT_SECONDS_MAX: Final = 30.0
_CONFLICTS_MAX: Final = 20
_RESTARTS_MAX: Final = 3
_TRANSIENT: Final = frozenset({"UNAVAILABLE", "RATE_LIMITED", "REQUEST_TIMEOUT"})
#: Reasons of UNAVAILABLE that do not pass by themselves.
_LASTING: Final = frozenset({"disk_full", "files_full"})

Ask = Callable[..., Awaitable[Any]]
Progress = Callable[[int, int], None]


class Uploading:
    """One file on its way."""

    def __init__(
        self, ask: Ask, clock: Clock, chance: Callable[[], float], source: bytes | Path, *,
        name: str, kind: str | None, key: str, on_progress: Progress | None,
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            ask: `exchange` of a connection.
            clock: the time.
            chance: numbers from 0 to 1.
            source: the bytes, or the file that has them.
            name: what people call it.
            kind: its media type; None guesses by the name.
            key: keeps a request that is sent twice from storing twice.
            on_progress: called with (bytes that the server has, all); never goes back.
        """
        self._ask = ask
        self._clock = clock
        self._chance = chance
        self._source = source
        self._size = len(source) if isinstance(source, bytes) else source.stat().st_size
        guessed = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._headers = {"Content-Type": guessed, **({"X-Filename": quote(name)} if name else {})}
        self._key = key
        self._on_progress = on_progress
        self._url: str | None = None
        self._offset = 0
        self._shown = -1
        self._piece = _PIECE_BYTES_FIRST
        self._attempts = self._conflicts = self._restarts = 0

    async def run(self) -> dict[str, Any]:
        """Return the file object; raises ServerRefused for what does not pass by itself.

        Raises OSError and InvalidArgument where the file can't be read, or becomes shorter.
        Tries on for as long as the server cannot be reached; cancelled, it gives the upload up.
        """
        self._show(0)
        is_sure = True
        while True:
            try:
                found = await (self._step() if is_sure else self._look())
                is_sure = True
            except asyncio.CancelledError:
                await self._drop()
                raise
            except PylonError as error:
                is_sure = False
                await self._after(error)
                continue
            if found is not None:
                self._show(self._size)
                return found

    async def _step(self) -> dict[str, Any] | None:
        if self._size <= WHOLE_BYTES_MAX:
            return self._made(
                await self._ask(
                    "POST", "/api/files", data=await self._read(0, self._size),
                    headers={**self._headers, "Idempotency-Key": self._key},
                )
            )  # fmt: skip
        if self._url is None:
            begun = await self._ask(
                "POST", "/api/files", params={"resumable": "1"},
                headers={**self._headers, "Upload-Length": str(self._size)},
            )  # fmt: skip
            self._url = str(begun["url"])
            self._reach(0)
        began = self._clock.monotonic()
        start = self._offset
        piece = await self._read(start, min(self._size, start + self._piece))
        answer = await self._ask(
            "PATCH", self._url, data=piece,
            headers={"Content-Type": "application/octet-stream", "Upload-Offset": str(start)},
        )  # fmt: skip
        self._adapt(self._clock.monotonic() - began)
        return self._made(answer)

    async def _look(self) -> dict[str, Any] | None:
        """Ask how far it has come."""
        if self._url is None:
            return await self._step()
        answer = await self._ask("GET", self._url)
        if "file" in answer:
            return dict(answer["file"])
        self._reach(int(answer["offset"]))
        return None

    def _made(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        if "sha256" in answer:
            return answer
        self._reach(int(answer["offset"]))
        return None

    def _reach(self, offset: int) -> None:
        if offset > self._offset:
            self._attempts = self._conflicts = 0
        self._offset = offset
        self._show(offset)

    def _show(self, loaded: int) -> None:
        if loaded > self._shown:
            self._shown = loaded
            if self._on_progress is not None:
                self._on_progress(loaded, self._size)

    def _adapt(self, seconds: float) -> None:
        if seconds < _QUICK_SECONDS:
            self._piece = min(PIECE_BYTES_MAX, self._piece * 2)
        elif seconds > _SLOW_SECONDS:
            self._piece = max(PIECE_BYTES_MIN, self._piece // 2)

    async def _read(self, start: int, end: int) -> BytesIO:
        source = self._source
        if isinstance(source, bytes):
            return BytesIO(source[start:end])

        def read() -> BytesIO:
            with source.open("rb") as file:
                file.seek(start)
                found = file.read(end - start)
            if len(found) < end - start:  # it would be asked for its rest for ever
                raise InvalidArgument(f"{source.name} became shorter while it was uploaded")
            return BytesIO(found)

        return await asyncio.to_thread(read)

    async def _after(self, error: PylonError) -> None:
        """Return when it is to be tried again; raises where that is of no use."""
        is_ours = self._url is not None
        if error.code == "NOT_FOUND" and is_ours and self._restarts < _RESTARTS_MAX:
            self._restarts += 1
            self._url, self._offset = None, 0
            return
        self._conflicts += error.code == "CONFLICT"
        is_conflict = error.code == "CONFLICT" and is_ours and self._conflicts <= _CONFLICTS_MAX
        is_lasting = error.details.get("reason") in _LASTING
        if not is_conflict and (error.code not in _TRANSIENT or is_lasting):
            raise error
        self._piece = max(PIECE_BYTES_MIN, self._piece // 2)
        self._attempts += 1
        told_s = (error.retry_after_s or 0) if isinstance(error, ServerRefused) else 0
        window = min(_WAIT_SECONDS_MAX, 0.5 * 2 ** min(self._attempts, 8))
        try:
            await self._clock.sleep(told_s + window / 2 + self._chance() * window / 2)
        except asyncio.CancelledError:
            await self._drop()
            raise

    async def _drop(self) -> None:
        """Have what came be removed, as far as the server can be reached."""
        if self._url is not None:
            with suppress(PylonError):  # else it is dropped a day after its last piece
                await self._ask("DELETE", self._url)
