"""What a wheel needs beside the code: the built browser client and the templates.

Runs inside the wheel's build. The client must have been built (`make client`) or Node must be
there to build it; the templates are staged without the local state that a checkout collects.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_LEFT_OUT = shutil.ignore_patterns(
    ".pylon", "__pycache__", "node_modules", "*.pyc", ".env", "package-lock.json"
)


class WheelContents(BuildHookInterface[Any]):
    """Stages `pylon/_templates` and checks that the client is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add what a real wheel needs; an editable install reads the checkout itself."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        if not (root / "pylon/client/browser/dist/client.js").is_file():
            subprocess.run(["sh", "installers/client.sh"], cwd=root, check=True)  # noqa: S607
        staged = root / "build" / "templates"
        shutil.rmtree(staged, ignore_errors=True)
        for home in ("templates", "examples"):
            for folder in sorted((root / home).iterdir()):
                if (folder / "app.py").is_file():
                    shutil.copytree(folder, staged / folder.name, ignore=_LEFT_OUT)
        build_data["force_include"][str(staged)] = "pylon/_templates"
