"""Every template as a person gets it: scaffolded, checked, and its own tests run."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from pylon.devtools.scaffold import create_project, templates

NAMES = [one.name for one in templates()]


async def _run(folder: Path, state: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, cwd=folder,
        env={**os.environ, "PYLON_STATE_DIR": str(state)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("name", NAMES)
async def test_a_template_has_no_mistakes(name: str, tmp_path: Path) -> None:
    """What `pylon new` makes loads, and none of its policies is flagged as a mistake."""
    project = create_project(tmp_path, "mine", name)
    code, said = await _run(project, tmp_path / "state", "pylon", "check")
    assert code == 0, said


@pytest.mark.parametrize(("name", "tests"), [("jobs", 6), ("react", 3), ("api", 2)])
async def test_a_templates_own_tests_pass(name: str, tests: int, tmp_path: Path) -> None:
    """The tests that a template brings run in the fresh project, by the command of its README."""
    project = create_project(tmp_path, "mine", name)
    code, said = await _run(project, tmp_path / "state", "pylon", "test")
    assert code == 0, said
    assert f"{tests} passed" in said
