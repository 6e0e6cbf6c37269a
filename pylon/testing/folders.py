"""Where the project under test is."""

from __future__ import annotations

from pathlib import Path

from pylon.errors import NotFound


def find_project(app: Path | str) -> Path:
    """Return a project's folder, given from the working directory or a folder above it.

    Raises NotFound where there is none.
    """
    given = Path(app)
    for above in (Path.cwd(), *Path.cwd().parents):
        if (above / given).is_dir():
            return (above / given).resolve()
    raise NotFound(
        f"there is no folder {app}", hint="give the project's folder, from the working directory"
    )
