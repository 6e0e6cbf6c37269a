"""A file that the dashboard writes: new, for its owner only, and gone again where that fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO


def typed_path(text: str) -> Path:
    """Return the path that somebody typed; `~` is his home, of a user who is none only a name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


class OwnFile:
    """One file to write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def objection(text: str) -> str:
        """Return what is wrong with a path that was typed, or nothing."""
        path = typed_path(text)
        if path.exists():
            return "there is something of this name: nothing is overwritten"
        return "" if path.parent.is_dir() else f"there is no folder {path.parent}"

    async def write(self, fill: Callable[[BinaryIO], Awaitable[object]]) -> int:
        """Write what `fill` writes; returns how many bytes. Raises OSError."""
        descriptor = await asyncio.to_thread(
            os.open, self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600
        )
        try:
            # Closed inside: what is written last may find the disk full only then.
            with os.fdopen(descriptor, "wb") as target:
                await fill(target)
                return target.tell()
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
