"""Who is making a branch: a lock that lives as long as its process, beside the folder it fills.

A start removes what a kill left half made, and must know it from what another process is just
making; a name says neither. The lock goes with its process, however that ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pylon import paths

#: Begins the names of those that are being made, or tried on; and of their locks.
MAKING: Final = ".new-"
_LOCK: Final = ".lock-"


def making_folder(branches: Path, name: str) -> Path:
    """Return where a branch is made until it is whole."""
    return branches / f"{MAKING}{name}"


@contextmanager
def claimed(branches: Path, name: str) -> Iterator[bool]:
    """Own the making of a branch for the block; False where another process makes it."""
    path = branches / f"{_LOCK}{name}"
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if not paths.take_lock(descriptor, waits=False):
                yield False
                return
            if not _is_there(path, descriptor):
                continue  # who had it removed it in between: another may own the name by now
            try:
                yield True
            finally:
                # While it is held; where an open file can't be removed, the next start does.
                with suppress(OSError):
                    path.unlink()
            return
        finally:
            os.close(descriptor)


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sweep_making(branches: Path) -> None:
    """Remove what nobody is making any more."""
    names = {one.name.removeprefix(MAKING) for one in branches.glob(f"{MAKING}*")}
    names |= {one.name.removeprefix(_LOCK) for one in branches.glob(f"{_LOCK}*")}
    for name in sorted(names):
        with claimed(branches, name) as is_mine:
            if is_mine:
                shutil.rmtree(making_folder(branches, name), ignore_errors=True)
