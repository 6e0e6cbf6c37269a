"""The commands where the runtime that answers is of another version: words and an exit code.

A proxy takes the place of a real runtime's socket and distorts its answers, by seed.
`PYLON_TEST_SCALE` is how many seeds.
"""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import pytest

from pylon import paths
from pylon.cli.main import main
from pylon.testing.warm import WarmProject
from tests.distorted import DistortedRuntime
from tests.museum import PLAIN, fill_museum, make_museum

SCALE: Final = int(os.environ.get("PYLON_TEST_SCALE", "1"))
FIRST: Final = int(os.environ.get("PYLON_TEST_SEED", "1"))
pytestmark = pytest.mark.timeout(120 * SCALE)
#: How often `attach` looks, of each scale.
_LOOKS: Final = 30
#: What only looks; each is asked for people, and as JSON where it has that.
LOOKING: Final = (
    "status", "jobs list", "workflows list", "users", "users show ada@example.com", "files list",
    "backups list", "branch list", "branch diff main spare", "health", "log", "log --at 3",
    "log stats", "diff 1 5", "diff 1 5 --entity Thing", "cursors", "clients list", "clock",
    "mail list", "mail preview hello", "functions", "policies", "settings list", "schema Thing",
    "rows list Thing", "sql 'SELECT 1'", "query Thing", "call things '{}'", "doctor", "migrate",
)  # fmt: skip


async def test_a_command_says_that_it_does_not_understand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, whatever is missing or of another type; honest answers are understood."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    served = WarmProject(make_museum(tmp_path / "museum", PLAIN), tmp_path / "state")
    try:
        await served.start()
        for socket in await fill_museum(served, PLAIN):
            await socket.close()
        monkeypatch.chdir(served.project)
        place = paths.admin_socket_path(served.project)
        behind = place.with_suffix(".far")
        place.rename(behind)
        for seed in range(FIRST, FIRST + SCALE):
            between = DistortedRuntime("http://localhost", seed, socket=behind)
            between.version = "0.0.1"
            await between.start(socket=place)
            try:
                await _ask_all(between, seed, monkeypatch)
            finally:
                await between.close()
                place.unlink(missing_ok=True)
        behind.rename(place)
        token = next((tmp_path / "state").glob("run/*/token")).read_text().strip()
        monkeypatch.setenv("PYLON_ADMIN_TOKEN", token)
        await _look_from_afar(served.url, monkeypatch)
    finally:
        await served.close()


async def _look_from_afar(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at it as `pylon attach` does first: nobody knows what answers there."""
    between = await DistortedRuntime(url, FIRST).start()
    codes = set()
    try:
        for at in range(_LOOKS * SCALE):
            code, text = await asyncio.to_thread(_run, f"attach {between.url} --check", monkeypatch)
            assert code in (0, 1), f"look {at} of seed {FIRST}: {code}\n{text}"
            codes.add(code)
        assert 1 in codes
        between.is_honest = True
        code, text = await asyncio.to_thread(_run, f"attach {between.url} --check", monkeypatch)
        assert (code, "museum answers at" in text) == (0, True), text
    finally:
        await between.close()


async def _ask_all(between: DistortedRuntime, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = 0
    for words in (*LOOKING, *(f"{one} --json" for one in LOOKING)):
        code, text = await asyncio.to_thread(_run, words, monkeypatch)
        assert code in (0, 1, 2), f"seed {seed}, pylon {words}: {code}\n{text}"
        said += "another version (0.0.1" in text
    assert said, f"seed {seed}: nothing was ever said of the other version"
    between.is_honest = True
    code, text = await asyncio.to_thread(_run, "jobs list --json", monkeypatch)
    assert code == 0, text
    between.is_honest = False


def _run(words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return the exit code of a command, and all that it said; a fault goes through."""
    monkeypatch.setattr(sys, "argv", ["pylon", *shlex.split(words)])
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit) as ended:
        main()
    out.flush()
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    code = ended.value.code
    return (code if isinstance(code, int) else 0), text
