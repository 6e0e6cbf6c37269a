"""The checkout's wheel, built once for all tests of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pylon.paths import locked
from tests.conftest import ROOT


def wheel_of(factory: pytest.TempPathFactory) -> Path:
    """Return the wheel; the first who asks builds it, also where tests run beside each other."""
    base = factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "built"
    folder.mkdir(exist_ok=True)
    with locked(folder):
        if not list(folder.glob("*.whl")):
            done = subprocess.run(
                [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir",
                 str(folder), str(ROOT)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    (found,) = folder.glob("pylon_runtime-*.whl")
    return found
