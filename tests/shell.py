"""`pylon` as a command beside a served project."""

from __future__ import annotations

import asyncio
import os
import sys

from pylon.testing.served import ServedProject


class Shell:
    """Runs `pylon` for one project; commands that take no --project get none."""

    def __init__(self, served: ServedProject) -> None:
        self._served = served

    async def __call__(
        self, *arguments: str, code: int = 0, is_for_project: bool = True, typed: str = ""
    ) -> str:
        """Return what it printed: stdout, or stderr where it is to fail."""
        project = ("--project", str(self._served.project)) if is_for_project else ()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pylon", *arguments, *project,
            env={**os.environ, "PYLON_STATE_DIR": str(self._served.state)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(typed.encode())
        assert process.returncode == code, (arguments, out, err)
        return (out if code == 0 else err).decode()
