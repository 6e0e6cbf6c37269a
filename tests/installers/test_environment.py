"""What `make` says while it makes the checkout's environment, which takes a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_PROGRAM = ROOT / "installers" / "environment.py"
_PROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "held"
version = "1"
"""
#: A build that needs no network, and goes on only when the test has seen what is said meanwhile.
_HELD = """import pathlib, time, zipfile
def build_editable(folder, *_):
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    with zipfile.ZipFile(pathlib.Path(folder) / "held-1-py3-none-any.whl", "w") as made:
        made.writestr("held.py", "")
        about = "Metadata-Version: 2.1\\nName: held\\nVersion: 1\\n"
        made.writestr("held-1.dist-info/METADATA", about)
        made.writestr("held-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        made.writestr("held-1.dist-info/RECORD", "")
    return "held-1-py3-none-any.whl"
"""
_BROKEN = 'def build_editable(*_):\n    raise SystemExit("the disk is full of bees")\n'


def _project(folder: Path, backend: str) -> Path:
    (folder / "pyproject.toml").write_text(_PROJECT)
    (folder / "backend.py").write_text(backend)
    return folder


def test_a_terminal_is_told_what_is_done_before_and_while_it_is(tmp_path: Path) -> None:
    """Each step is named when it begins; pip's last words and the seconds stand beside it."""
    told = pexpect.spawn(
        sys.executable, [str(_PROGRAM), ".venv"], encoding="utf-8", timeout=120,
        cwd=str(_project(tmp_path, _HELD)), dimensions=(24, 80),
    )  # fmt: skip
    told.expect_exact("making an environment in .venv")
    assert not (tmp_path / ".venv" / "bin" / "pip").exists(), "said after the deed"
    told.expect_exact("making an environment in .venv: done after")
    told.expect_exact("installing Pylon into .venv (about a minute)")
    told.expect(r"installing Pylon into .venv … \d+ s +\w.*editable")  # what pip waits for
    (tmp_path / "go").touch()
    told.expect_exact("installing Pylon into .venv: done after")
    told.expect(pexpect.EOF)
    told.close()
    assert told.exitstatus == 0


def test_a_step_that_fails_ends_with_all_that_was_said_and_a_remedy(tmp_path: Path) -> None:
    """Without a terminal there is a line for each step, and pip's own words where it fails."""
    done = subprocess.run(
        (sys.executable, str(_PROGRAM), ".venv"), cwd=_project(tmp_path, _BROKEN),
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    first, second, third, fourth = done.stdout.splitlines()
    assert first == "making an environment in .venv (some ten seconds) …"
    assert second.startswith("done after")
    assert third == "installing Pylon into .venv (about a minute) …"
    assert fourth.startswith("failed after")
    assert "the disk is full of bees" in done.stderr
    assert done.stderr.rstrip().endswith("the same command goes on")
