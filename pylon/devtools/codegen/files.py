"""The generated files of a project: where they are, written whole or not at all, compared.

What does not live here: what stands in them (`app`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pylon.devtools.codegen.app import MARK, app_types
from pylon.devtools.watch import IGNORED_FOLDERS

#: Where the types go unless somebody says otherwise, below the project.
DEFAULT_OUTPUT: Final = Path("web/pylon.gen.ts")
_SUFFIX = ".gen.ts"
_DEPTH_MAX = 4


class CannotWrite(Exception):
    """The place cannot be written to, or a file that `pylon codegen` did not write stands there."""


def read_generated(path: Path) -> str | None:
    """Return the text of a generated file; None where there is none.

    Raises CannotWrite for a file of somebody else, which is never overwritten.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotWrite(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotWrite(f"{path} was not written by pylon codegen") from error
    if text and not text.startswith(MARK):
        raise CannotWrite(f"{path} was not written by pylon codegen")
    return text


def write_generated(path: Path, text: str) -> bool:
    """Write a generated file whole; tells whether it was another one before.

    Raises CannotWrite for a file of somebody else and for a place that cannot be written to.
    """
    if read_generated(path) == text:
        return False
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}") from error
    return True


def generated_files(root: Path) -> list[Path]:
    """Return the files of a project that `pylon codegen` wrote at some time."""
    return sorted(
        entry
        for folder in folders_below(root)
        for entry in _entries(folder)
        if entry.name.endswith(_SUFFIX) and not entry.is_symlink() and _is_ours(entry)
    )


def folders_below(root: Path) -> Iterator[Path]:
    """Yield a project's folder and those below it that may hold its own files; no deep ones."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        yield folder
        for entry in _entries(folder):
            is_plain = entry.is_dir() and not entry.is_symlink()
            if is_plain and entry.name not in IGNORED_FOLDERS and depth < _DEPTH_MAX:
                waiting.append((entry, depth + 1))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().startswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


__all__ = ["DEFAULT_OUTPUT", "CannotWrite", "app_types", "folders_below", "generated_files",
           "read_generated", "write_generated"]  # fmt: skip
