"""What tests share: a state folder of their own, and served projects that end with the test."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pylon.testing.served import ServedProject

ROOT = Path(__file__).resolve().parents[1]
Serve = Callable[..., Awaitable[ServedProject]]
_EXIT_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the session ended, for its very end."""
    session.config.stash[_EXIT_STATUS] = int(exitstatus)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process though a test that failed left threads behind, and name them."""
    left = [
        one.name for one in threading.enumerate()
        if one is not threading.main_thread() and not one.daemon
    ]  # fmt: skip
    if left:
        sys.stderr.write(f"threads that a test left running: {', '.join(left)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(_EXIT_STATUS, 1) or 1)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own projects and sockets out of every test."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    for name in ("PYLON_ADMIN_TOKEN", "NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start runtimes: `await serve(APP)` for source, `serve("examples/chat")` for a folder."""
    running: list[ServedProject] = []

    async def start(app: str, *, mode: str = "dev", is_started: bool = True, toml: str = "",
                    environment: dict[str, str] | None = None,
                    extra: tuple[str, ...] = ()) -> ServedProject:  # fmt: skip
        folder = tmp_path / f"app{len(running)}"
        if "\n" in app:
            folder.mkdir()
            (folder / "app.py").write_text(app)
        else:
            ignored = shutil.ignore_patterns(".pylon", "__pycache__", "node_modules")
            shutil.copytree(ROOT / app, folder, ignore=ignored)
        if toml:
            (folder / "pylon.toml").write_text(toml)
        served = ServedProject(
            folder, tmp_path / "state", mode=mode, environment=environment, extra=extra
        )
        running.append(served)
        if is_started:
            await served.start()
        return served

    yield start
    for served in running:
        await served.close()
