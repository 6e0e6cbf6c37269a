"""A branch that is no copy: an empty database that the project's seed.py fills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylon.clock import SystemClock


async def create_seeded(project: Path, name: str) -> dict[str, Any]:
    """Make the branch `name`, beside a running runtime or without one; runs the app's code.

    Raises what the app's start, its seed and the making of a branch raise; nothing is left then.
    """
    from pylon.cli.seed import seeded
    from pylon.server.files import copying
    from pylon.server.storage import branches
    from pylon.server.storage.folder import DATABASE_NAME, tighten

    data = project / ".pylon"
    tighten(data)

    async def make(folder: Path) -> int:
        _, head = await seeded(project, folder, again=False)
        # The bytes of files lie in one place for all branches; in a bucket they are there already.
        blobs = copying.blobs_of(folder)
        if blobs.is_dir() and any(blobs.iterdir()):
            wanted = await copying.hashes_in(folder / DATABASE_NAME)
            copying.copy_blobs([blobs], copying.blobs_of(data), wanted)
        return head

    clock = SystemClock()
    made = await branches.create_by(data, branches.demand_new_name(name), clock, make)
    return made.to_json()
