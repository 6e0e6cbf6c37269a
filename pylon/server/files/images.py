"""Pictures in other widths: made once for each content, by a process of its own, with limits.

A decoder is the last thing that should run beside everybody's data: it reads what strangers made.
The process gets an open file and so much memory and time, and nothing else (THREATS 3.4).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pylon import limits_files
from pylon.errors import InvalidArgument, PylonError, Unavailable
from pylon.server.files import disk, image_worker
from pylon.server.files.store import FileStore
from pylon.server.storage.fair_queue import FairQueue
from pylon.server.storage.files import StoredFile

#: What can be shown in another width, and what it is shown as.
SHOWN_AS: Final = {
    "image/png": "image/png", "image/jpeg": "image/jpeg", "image/webp": "image/webp",
    "image/gif": "image/png", "image/bmp": "image/png",
}  # fmt: skip
WIDTHS: Final = limits_files.IMAGE_WIDTHS


class NoImage(PylonError):
    """The file can't be shown in another width: it is no picture, is damaged, or is too large."""

    code = "UNSUPPORTED_MEDIA"
    http_status = 415


def width_of(text: str) -> int:
    """Return a width that `?w=` names; raises InvalidArgument for one that there is not."""
    if text not in [str(one) for one in WIDTHS]:
        raise InvalidArgument(f"w is one of {', '.join(str(one) for one in WIDTHS)}", field="w")
    return int(text)


class Images:
    """Makes pictures of other widths and keeps them, by the hash of the original."""

    def __init__(self, store: FileStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._folder = store.images
        #: Whoever asks for many keeps nobody else from his next one.
        self._turns = FairQueue(limits_files.IMAGES_AT_ONCE)
        self._waiting: Counter[str] = Counter()
        self._making: dict[str, asyncio.Task[Path]] = {}

    async def made(self, stored: StoredFile, width: int, asker: str) -> Path:
        """Return where a picture of this width lies; it is made if need be, in the asker's turn.

        Raises NoImage, and Unavailable where too many wait, or Pillow is not installed.
        """
        if stored.type not in SHOWN_AS:
            raise NoImage(f"a file of type {stored.type} has no other width")
        name = f"{stored.sha256}-{width}-{SHOWN_AS[stored.type].partition('/')[2]}"
        path = self._folder / name
        if await self._store.run(path.is_file):
            return path
        if importlib.util.find_spec("PIL") is None:
            raise Unavailable(
                "pictures in other widths need Pillow", reason="no_images",
                hint="pip install 'pylon-runtime[images]'",
            )  # fmt: skip
        task = self._making.get(name)
        if task is None:
            if self._waiting[asker] >= limits_files.IMAGES_WAITING_MAX:
                raise Unavailable("too many pictures are being made", reason="busy")
            self._waiting[asker] += 1  # here: many at once would all find room otherwise
            making = self._make(stored, width, path, asker)
            task = asyncio.get_running_loop().create_task(making)
            self._making[name] = task
            task.add_done_callback(lambda _: self._making.pop(name, None))
        return await asyncio.shield(task)

    async def kept(self, stored: StoredFile) -> list[tuple[int, int]]:
        """Return (width, bytes) of the pictures that were made of this content, narrowest first."""

        def look() -> list[tuple[int, int]]:
            found = []
            for path in self._folder.glob(f"{stored.sha256}-*"):
                with suppress(OSError):  # it may be swept meanwhile
                    found.append((int(path.name.split("-")[1]), path.stat().st_size))
            return sorted(found)

        return await self._store.run(look)

    @property
    def waiting(self) -> int:
        """Return how many the one who waits for most waits for."""
        return max(self._waiting.values(), default=0)

    async def stop(self) -> None:
        """Make nothing more."""
        tasks = list(self._making.values())
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, stored: StoredFile, width: int, path: Path, asker: str) -> Path:
        try:
            await self._turns.enter(asker)
            started = self._monotonic()
            try:
                return await self._worked(stored, width, path)
            finally:
                self._turns.leave(asker, self._monotonic() - started)
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]

    async def _worked(self, stored: StoredFile, width: int, path: Path) -> Path:
        source = self._store.incoming / self._store.new_id()
        target = self._store.incoming / self._store.new_id()
        self._store.active |= {source, target}
        try:
            await self._fetch(stored, source)
            code = await _run(source, target, width, SHOWN_AS[stored.type])
            if code != 0:
                raise NoImage(_WHY.get(code, NoImage.__doc__))
            await self._store.run(target.replace, path)
            return path
        finally:
            for one in (source, target):
                await self._store.run(disk.unlink, one)
            self._store.active -= {source, target}

    async def _fetch(self, stored: StoredFile, source: Path) -> None:
        """Have the original under a name for the worker, wherever its bytes lie."""
        writing = await self._store.run(disk.Writing, source)
        try:
            async with self._store.backend.open(stored.sha256) as chunks:
                async for chunk in chunks(0, stored.size):
                    await self._store.run(writing.append, chunk)
        finally:
            await self._store.run(writing.close)


_WHY: Final = {
    image_worker.TOO_LARGE: f"a picture has at most {limits_files.IMAGE_PIXELS_MAX} pixels",
    image_worker.NO_IMAGE: "the file is no picture of its type, or damaged",
}


async def _run(source: Path, target: Path, width: int, kind: str) -> int:
    """Run the worker on two open files; returns its exit code, negative for a signal."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    writing = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", image_worker.__file__, str(width), kind,
            str(limits_files.IMAGE_PIXELS_MAX), str(limits_files.IMAGE_MEMORY_BYTES),
            str(limits_files.IMAGE_CPU_SECONDS),
            stdin=reading, stdout=writing, stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    finally:
        os.close(reading)
        os.close(writing)
    try:
        async with asyncio.timeout(limits_files.IMAGE_SECONDS):
            return await process.wait()
    except (TimeoutError, asyncio.CancelledError) as error:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            return -9
        raise
