"""Every template as a person gets it: scaffolded, checked, and its own tests run."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from pylon.devtools.scaffold import create_project, templates

NAMES = [one.name for one in templates()]
#: How many tests each template brings.
TESTS = {"api": 2, "blank": 1, "chat": 2, "jobs": 6, "react": 3}
#: Started by its own test, with Vite: tests/browser/test_react_template.py.
_WITH_PACKAGES = "react"


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


@pytest.mark.parametrize(("name", "tests"), list(TESTS.items()))
async def test_a_templates_own_tests_pass(name: str, tests: int, tmp_path: Path) -> None:
    """The tests that a template brings run in the fresh project, by the command of its README."""
    project = create_project(tmp_path, "mine", name)
    code, said = await _run(project, tmp_path / "state", "pylon", "test")
    assert code == 0, said
    assert f"{tests} passed" in said


def test_every_template_brings_tests() -> None:
    """`pylon test` has something to run in whatever `pylon new` made."""
    assert sorted(TESTS) == NAMES


@pytest.mark.parametrize("name", [one for one in NAMES if one != _WITH_PACKAGES])
async def test_a_template_starts_and_answers(name: str, tmp_path: Path) -> None:
    """`pylon dev` in what was made serves its API, and its page where it has one."""
    project = create_project(tmp_path, "mine", name)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pylon", "dev", "--no-tui", "--port", "0", cwd=project,
        env={**os.environ, "PYLON_STATE_DIR": str(tmp_path / "state")},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        url = line.removeprefix("listening on ").strip()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/api/health") as answer:
                assert answer.status == 200
            if (project / "web" / "index.html").is_file():
                async with session.get(url) as page:
                    assert (page.status, page.content_type) == (200, "text/html")
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
