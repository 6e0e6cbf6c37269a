"""What a clean interpreter loads: the light entrances stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "textual", "sqlite3", "aiosqlite", "watchfiles", "pyparsing")


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    ["import pylon", "import pylon.errors, pylon.limits", "from pylon.cli import main"],
)
def test_light_entrances_load_nothing_heavy(statement: str) -> None:
    """Importing the package or the command line's frame loads no server, screen or database."""
    assert not _loaded_after(statement) & set(HEAVY)


def test_the_server_loads_no_screen_library() -> None:
    """The runtime process carries neither the dashboard nor the watcher."""
    loaded = _loaded_after("import pylon.server.assembly")
    assert not loaded & {"textual", "rich", "watchfiles", "click"}
