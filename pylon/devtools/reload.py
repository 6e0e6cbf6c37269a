"""What a batch of changed files calls for: restart, reload, refresh the pages, or nothing.

Pure: the contents' hashes are handed in, and a file whose content is what it was calls for
nothing (saving without a change, touching, switching a branch back).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ReloadAction(StrEnum):
    """The one thing to do for a batch, the strongest that any of its files asks for."""

    NOTHING = "nothing"
    #: Files below web/: pages load again, the app does not.
    REFRESH_PAGES = "refresh_pages"
    #: The app's Python files: a new generation in the running runtime.
    RELOAD_APP = "reload_app"
    #: Settings and dependencies are read at start only.
    RESTART = "restart"


_STRENGTH = tuple(ReloadAction)
_RESTART_NAMES = frozenset({"pylon.toml", "pyproject.toml", ".env"})


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """What to do, and the files that ask for it."""

    action: ReloadAction
    files: tuple[Path, ...]


def action_for(relative: Path) -> ReloadAction:
    """Return what a change of this one file calls for."""
    if relative.name in _RESTART_NAMES and len(relative.parts) == 1:
        return ReloadAction.RESTART
    if relative.name.endswith(".gen.ts"):
        return ReloadAction.NOTHING  # types of the app: no browser reads them
    if relative.parts and relative.parts[0] == "web":
        return ReloadAction.REFRESH_PAGES
    if relative.suffix == ".py":
        return ReloadAction.RELOAD_APP
    return ReloadAction.NOTHING


def plan_reload(
    changed: frozenset[Path],
    before: Mapping[Path, str | None],
    after: Mapping[Path, str | None],
) -> ReloadPlan:
    """Return the plan for a batch.

    Args:
        changed: the files of the batch, relative to the project.
        before: their content hashes as last seen; None or missing where there was no file.
        after: their content hashes now; None where the file is gone.
    """
    real = sorted(path for path in changed if before.get(path) != after.get(path))
    actions = {path: action_for(path) for path in real}
    strongest = max(actions.values(), key=_STRENGTH.index, default=ReloadAction.NOTHING)
    files = tuple(path for path in real if actions[path] is strongest)
    return ReloadPlan(strongest, files if strongest is not ReloadAction.NOTHING else ())
