"""A test of the tests: known faults, put into a copy of the tree one by one, turn one red each.

At the normal scale a fixed few run; PYLON_TEST_SCALE=2 and more runs all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.sabotage.patches import SABOTAGES, Sabotage

ROOT: Final = Path(__file__).resolve().parents[2]
_COPIED: Final = ("pylon", "tests", "examples", "templates", "installers")
_LEFT_OUT: Final = shutil.ignore_patterns("node_modules", "__pycache__", ".pylon", "screens")
_BROWSER: Final = Path("pylon/client/browser")


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the tests need, with links to what is built and installed."""
    copy = tmp_path_factory.mktemp("sabotage") / "tree"
    copy.mkdir()
    for name in _COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=_LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / _BROWSER / "node_modules").symlink_to(ROOT / _BROWSER / "node_modules")
    return copy


def _patched(tree: Path, sabotage: Sabotage) -> dict[Path, str]:
    """Put a fault in; returns the texts of before."""
    before: dict[Path, str] = {}
    for edit in sabotage.edits:
        path = tree / edit.file
        text = path.read_text(encoding="utf-8")
        before.setdefault(path, text)
        count = text.count(edit.old)
        assert count == 1, (
            f"sabotage {sabotage.number} ({sabotage.fault}) no longer fits: its text stands"
            f" {count} times in {edit.file}; renew it in tests/sabotage/patches.py"
        )
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    return before


def _run(tree: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy against the copy."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYLON_TEST_SCALE", None)
    if tests[0].endswith(".ts"):
        node = subprocess.run(
            ["sh", str(ROOT / "installers" / "node.sh")], capture_output=True, text=True, check=True
        ).stdout.strip()
        vitest = tree / _BROWSER / "node_modules" / "vitest" / "vitest.mjs"
        files = [str(Path(one).relative_to(_BROWSER)) for one in tests]
        command, folder = [f"{node}/node", str(vitest), "run", *files], tree / _BROWSER
    else:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        folder = tree
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=500,
    )  # fmt: skip


#: What a red test may not come from: an edit that does not run.
_NOT_BY_A_FAULT: Final = (
    "SyntaxError", "NameError", "ImportError", "UnboundLocalError", "DidNotStart",
    "error: Transform failed", "ERROR at setup",
)  # fmt: skip
#: Where the whole list would take too long: the cheapest, and of each kind of fault one.
FEW: Final = ("2", "5 late", "7", "8", "12", "20", "28")
_IS_ALL: Final = int(os.environ.get("PYLON_TEST_SCALE", "1")) > 1
CHOSEN: Final = [one for one in SABOTAGES if _IS_ALL or one.number in FEW]


def test_the_copy_is_what_is_tested(tree: Path) -> None:
    """Python takes the copy's modules and not the installed ones."""
    said = subprocess.run(
        [sys.executable, "-c", "import pylon; print(pylon.__file__)"], cwd=tree.parent,
        env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == str(tree / "pylon" / "__init__.py")


@pytest.mark.timeout(600)
def test_every_edit_fits_and_every_test_is_there(tree: Path) -> None:
    """The whole list, also where only a few are run."""
    for one in SABOTAGES:
        for path, text in _patched(tree, one).items():
            path.write_text(text, encoding="utf-8")
        file, _, name = one.test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (tree / file).read_text("utf-8") or not name


@pytest.mark.timeout(600)
def test_without_a_fault_they_pass(tree: Path) -> None:
    """What the faults turn red is green before."""
    python = sorted({one.test for one in CHOSEN if not one.test.endswith(".ts")})
    browser = sorted({one.test for one in CHOSEN if one.test.endswith(".ts")})
    for tests in (python, browser):
        if tests:
            done = _run(tree, *tests)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", CHOSEN, ids=lambda one: one.number)
def test_a_fault_turns_its_test_red(tree: Path, sabotage: Sabotage) -> None:
    """The named test fails, and fails by its own assertion or what it waits for."""
    before = _patched(tree, sabotage)
    try:
        done = _run(tree, sabotage.test)
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
    said = done.stdout[-4_000:] + done.stderr[-1_000:]
    assert done.returncode == 1, f"{sabotage.fault}: nobody noticed\n{said}"
    broken = [one for one in _NOT_BY_A_FAULT if one in done.stdout]
    assert not broken, f"{sabotage.fault}: the edit itself is broken\n{said}"
