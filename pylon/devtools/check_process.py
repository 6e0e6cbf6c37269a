"""The session's side of the checker: one warm child, asked line by line, replaced when it dies."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pylon import jsonvalue
from pylon.devtools.checker import CHECK_SECONDS

_ANSWER_SECONDS = CHECK_SECONDS + 7.0
_LINE_BYTES_MAX = 1_048_576


class CheckProcess:
    """`check()` says whether the app on disk loads; double stop and stop-before-start are legal."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: asyncio.subprocess.Process | None = None
        self._is_asking = asyncio.Lock()

    async def start(self) -> None:
        """Start the child and wait until it has Pylon imported."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pylon.devtools.checker", str(self._root),
            cwd=self._root,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_BYTES_MAX,
        )  # fmt: skip
        await self._read_line(self._process)

    async def check(self) -> dict[str, Any]:
        """Return {"ok", "mistakes"}; a checker that died is replaced and asked once more."""
        async with self._is_asking:
            for _ in range(2):
                if self._process is None or self._process.returncode is not None:
                    await self.start()
                answer = await self._ask()
                if answer is not None:
                    return answer
                await self.stop()
        return {"ok": False, "mistakes": ["the checker gave no answer; the old version serves on"]}

    async def stop(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _ask(self) -> dict[str, Any] | None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(b"check\n")
            await process.stdin.drain()
            line = await self._read_line(process)
        except (ConnectionError, TimeoutError):
            return None
        if not line:
            return None
        verdict: dict[str, Any] = jsonvalue.decode_trusted(line)
        return verdict

    @staticmethod
    async def _read_line(process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await process.stdout.readline()
