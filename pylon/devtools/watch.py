"""File events of a project, as batches: the one user of watchfiles.

A batch is one save (an editor's rename dance included) or one branch switch. What does not live
here: what a batch calls for (`reload`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, awatch

if TYPE_CHECKING:
    import asyncio

#: Folders whose files never make a reload.
IGNORED_FOLDERS = frozenset(
    {
        ".pylon", ".git", ".hg", "venv", ".venv", "node_modules", "__pycache__",
        ".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode",
    }
)  # fmt: skip
_STEP_MS = 20
_DEBOUNCE_MS = 200


def is_watched(relative: Path) -> bool:
    """Tell whether a change of this file (relative to the project) may matter to the app."""
    if any(part in IGNORED_FOLDERS for part in relative.parts):
        return False
    name = relative.name
    is_editor_leftover = (
        name.startswith((".#", "#", ".goutputstream"))
        or name.endswith(("~", ".swp", ".swx", ".tmp"))
        or name == "4913"  # what vim creates to test whether it may write
    )
    return not is_editor_leftover and not name.endswith((".pyc", ".pyo"))


async def watch(root: Path, *, stop: asyncio.Event) -> AsyncIterator[frozenset[Path]]:
    """Yield batches of changed files, relative to `root`, until `stop` is set."""

    def keep(_: Change, path: str) -> bool:
        return is_watched(Path(path).relative_to(root))

    async for changes in awatch(
        root, watch_filter=keep, step=_STEP_MS, debounce=_DEBOUNCE_MS, stop_event=stop,
        recursive=True, ignore_permission_denied=True,
    ):  # fmt: skip
        files = {Path(path).relative_to(root) for _, path in changes}
        for change, path in changes:
            if change is Change.added:
                files |= _below(root, Path(path))
        yield frozenset(files)


def _below(root: Path, folder: Path) -> set[Path]:
    """Return the files of a new folder: those that came before it was watched make no event."""
    found: set[Path] = set()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        files = (Path(place, name).relative_to(root) for name in names)
        found |= {file for file in files if is_watched(file)}
    return found
