"""The dashboard on a terminal of its own: keys go in as bytes, and what it draws is waited for.

Nothing is rendered here: a step ends with the bytes that show its answer, as a terminal gets them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Final

import psutil

_STEP_SECONDS: Final = 30.0
#: What moves a cursor or changes a colour: left out of what is looked at.
_CONTROLS: Final = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]")
#: Output is forgotten beyond this.
_KEPT_BYTES: Final = 4_000_000


class Terminal:
    """One process on a pseudo-terminal."""

    def __init__(self, arguments: list[str], size: tuple[int, int], environment: dict[str, str]):
        """Start `pylon ARGUMENTS` at a size (columns, lines)."""
        self._master, slave = pty.openpty()
        columns, lines = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pylon", *arguments], stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )  # fmt: skip
        os.close(slave)
        self._psutil = psutil.Process(self._process.pid)
        self._output = bytearray()
        self._came = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            self._output += os.read(self._master, 1 << 16)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
        if len(self._output) > _KEPT_BYTES:
            del self._output[: -_KEPT_BYTES // 2]
        self._came.set()

    def press(self, keys: str) -> None:
        """Press keys; what was drawn before them is forgotten."""
        self._output.clear()
        os.write(self._master, keys.encode())

    @property
    def text(self) -> str:
        """Return what was drawn since the last keys, without colours and places."""
        return _CONTROLS.sub(b"", bytes(self._output)).decode(errors="replace")

    async def until(self, pattern: str, *, seconds: float = _STEP_SECONDS) -> re.Match[str]:
        """Wait until something was drawn since the last keys."""
        end = time.perf_counter() + seconds
        while True:
            if found := re.search(pattern, self.text):
                return found
            self._came.clear()
            left = end - time.perf_counter()
            if left <= 0:
                raise TimeoutError(f"{self.text[-4000:]}\n{pattern!r} was never drawn")
            try:
                async with asyncio.timeout(left):
                    await self._came.wait()
            except TimeoutError:
                continue

    async def answered(self, keys: str, pattern: str) -> tuple[float, float]:
        """Press keys; returns milliseconds until it was drawn, and of them on a core there."""
        worked, started = self.cpu_s(), time.perf_counter()
        self.press(keys)
        await self.until(pattern)
        took = time.perf_counter() - started
        return took * 1000, (self.cpu_s() - worked) * 1000

    def cpu_s(self) -> float:
        """Return the seconds of a core that the process took."""
        times = self._psutil.cpu_times()
        return float(times.user + times.system)

    def mib(self) -> float:
        """Return its resident memory."""
        return float(self._psutil.memory_info().rss / 1_048_576)

    async def close(self) -> None:
        """End it."""
        asyncio.get_running_loop().remove_reader(self._master)
        self._process.send_signal(signal.SIGTERM)
        # Its last words need room, or it never ends.
        draining = asyncio.create_task(asyncio.to_thread(self._drain))
        try:
            await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        await draining
        os.close(self._master)

    def _drain(self) -> None:
        try:
            while os.read(self._master, 1 << 16):
                pass
        except OSError:
            return


def attached(host: str, token: str, size: tuple[int, int]) -> Terminal:
    """Return a dashboard on the runtime at HOST:PORT."""
    return Terminal(["attach", f"http://{host}"], size, {"PYLON_ADMIN_TOKEN": token})
