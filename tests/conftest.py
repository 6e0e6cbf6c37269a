"""What tests share: a state folder of their own, and served projects that end with the test."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from pylon.testing.served import ServedProject
from pylon.testing.warm import WarmProject

ROOT = Path(__file__).resolve().parents[1]
Serve = Callable[..., Awaitable[ServedProject]]
_EXIT_STATUS = pytest.StashKey[int]()
_NUMBERS: Final = itertools.count()
#: Which folders' files are handed out first where tests run beside each other: those with the
#: longest ones, so that nobody waits for the last.
_LONGEST_FIRST: Final = (
    "canary", "browser", "simulation", "properties", "sabotage", "wheel", "installers",
    "integration", "screens",
)  # fmt: skip
#: Most of the time is waited, for processes, disks and browsers: more workers than cores.
_WORKERS_PER_CORE: Final = 2

#: How long an example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many tests `-n auto` runs beside each other."""
    return min(8, _WORKERS_PER_CORE * (os.cpu_count() or 1))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first in a worker; without workers the order stays."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the session ended, for its very end."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process though a test that failed left threads behind, and name them."""
    WarmProject.close_starts()
    left = [
        one.name for one in threading.enumerate()
        if one is not threading.main_thread() and not one.daemon
    ]  # fmt: skip
    if left:
        sys.stderr.write(f"threads that a test left running: {', '.join(left)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(_EXIT_STATUS, 1) or 1)


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of its own, by a short path: that of a Unix socket has 100 characters."""
    return _folder(tmp_path_factory, "t")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own projects and sockets out of every test."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(_folder(tmp_path_factory, "s")))
    for name in ("PYLON_ADMIN_TOKEN", "NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.getbasetemp() / f"{name}{next(_NUMBERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start runtimes: `await serve(APP)` for source, `serve("examples/chat")` for a folder.

    They are forked from a warm process; `is_warm=False` starts an interpreter of their own.
    """
    running: list[ServedProject] = []

    async def start(app: str, *, mode: str = "dev", is_started: bool = True, toml: str = "",
                    environment: dict[str, str] | None = None, extra: tuple[str, ...] = (),
                    is_warm: bool = True) -> ServedProject:  # fmt: skip
        folder = tmp_path / f"app{len(running)}"
        if "\n" in app:
            folder.mkdir()
            (folder / "app.py").write_text(app)
        else:
            ignored = shutil.ignore_patterns(".pylon", "__pycache__", "node_modules")
            shutil.copytree(ROOT / app, folder, ignore=ignored)
        if toml:
            (folder / "pylon.toml").write_text(toml)
        served = (WarmProject if is_warm else ServedProject)(
            folder, tmp_path / "state", mode=mode, environment=environment, extra=extra
        )
        running.append(served)
        if is_started:
            await served.start()
        return served

    yield start
    for served in running:
        await served.close()
