"""Commands that are given in a folder with somebody else's files: none of them is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.kept import end, make_project

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_of_the_folder_one_stands_in_is_run(tmp_path: Path) -> None:
    """Python looks there first for whatever it is asked to start: modules of its own, too."""
    project, folder = make_project(tmp_path / "kept"), tmp_path / "downloads"
    folder.mkdir()
    ran = tmp_path / "ran"
    for name in ("pylon", "secrets", "msgspec", "json"):
        (folder / f"{name}.py").write_text(
            f"open({str(ran)!r}, 'w').close()\nraise SystemExit(9)\n"
        )

    def pylon(*words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pylon", *words], cwd=folder, text=True, check=False,
            capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": ""},
        )  # fmt: skip
        assert done.returncode in codes, done.stderr
        return done.stdout

    try:
        pylon("projects", "start", str(project))  # a keeper, its runtime, and what checks saves
        pylon("backups", "create", "--project", str(project))
        said = pylon("doctor", str(project), "--app", codes=(0, 1))  # 1: something may be better
        assert "[app-broken]" not in said
    finally:
        end(project)
    assert not ran.exists()


def test_whatever_pylon_starts_of_itself_is_started_so() -> None:
    """`-m` alone has the folder that one stands in searched."""
    wrong = [
        str(path.relative_to(ROOT)) for path in (ROOT / "pylon").rglob("*.py")
        if "testing" not in path.parts and 'sys.executable, "-m", "pylon' in path.read_text("utf-8")
    ]  # fmt: skip
    assert wrong == []
