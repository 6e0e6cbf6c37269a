"""Keeps a project's generated files current while it is developed.

A process of its own loads the app for it: the one that watches must not run the app's code.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from pylon.devtools.codegen.files import generated_files
from pylon.devtools.codegen.package import generated_packages

_log = logging.getLogger("pylon.codegen")
_SECONDS_MAX = 30.0


class TypesKeeper:
    """Writes what `pylon codegen` once wrote again, each time that it is asked to."""

    def __init__(self, root: Path, package: Callable[[], str]) -> None:
        """Make one.

        Args:
            root: the project's folder.
            package: tells the folder below it that is wanted for a bundler; empty where none is.
        """
        self._root = root
        self._package = package
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """Have the files written soon; asking again meanwhile is one more time, not many."""
        self._wanted.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            for path in await asyncio.to_thread(generated_files, self._root):
                await self._write("--out", path.relative_to(self._root))
            found = await asyncio.to_thread(generated_packages, self._root)
            folders = {folder.relative_to(self._root) for folder in found}
            wanted = self._package()
            for folder in sorted({*folders, Path(wanted)} if wanted else folders):
                await self._write("--package", folder)

    async def _write(self, option: str, path: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pylon", "codegen", str(self._root), option, str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                _, said = await process.communicate()
        except TimeoutError:
            _log.warning("codegen.failed %s took longer than %g s", path, _SECONDS_MAX)
        else:
            if process.returncode:
                _log.warning("codegen.failed %s: %s", path, said.decode(errors="replace")[-500:])
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
