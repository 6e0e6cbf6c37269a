"""`pylon codegen`: written whole, compared, never over somebody else's file; silent on stdout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

APP = """
from __future__ import annotations
from pylon import App, Entity

app = App("small")


@app.entity(read="true")
class Note(Entity):
    body: str
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


def codegen(project: Path, *options: str) -> tuple[int, str]:
    """Run the command and return its exit code and what it says; stdout stays empty."""
    done = subprocess.run(
        [sys.executable, "-m", "pylon", "codegen", str(project), *options],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.timeout(600)
def test_it_writes_compares_and_notices_what_is_stale(project: Path) -> None:
    """--check is 1 before it is written, 0 after, 1 once the app says something else."""
    target = project / "web" / "pylon.gen.ts"
    code, said = codegen(project, "--check")
    assert (code, "web/pylon.gen.ts is missing" in said) == (1, True)
    assert not target.exists()
    assert codegen(project) == (0, "wrote web/pylon.gen.ts\n")
    written = target.stat().st_mtime_ns
    assert codegen(project, "--check") == (0, "")
    assert codegen(project) == (0, "web/pylon.gen.ts is up to date\n")
    assert target.stat().st_mtime_ns == written
    (project / "app.py").write_text(APP + "    title: str | None = None\n")
    code, said = codegen(project, "--check")
    assert (code, "web/pylon.gen.ts is not what the app says" in said) == (1, True)
    assert codegen(project, "--out", "src/types.gen.ts") == (0, "wrote src/types.gen.ts\n")
    assert "readonly title: string | null;" in (project / "src" / "types.gen.ts").read_text()


@pytest.mark.timeout(600)
def test_what_is_not_its_own_stays(project: Path) -> None:
    """A file of somebody else, a place outside, an app with mistakes: refused, nothing changed."""
    own = project / "own.ts"
    own.write_text("export const mine = 1;\n")
    code, said = codegen(project, "--out", "own.ts")
    assert (code, "was not written by pylon codegen" in said) == (1, True)
    assert own.read_text() == "export const mine = 1;\n"
    assert codegen(project, "--out", "../outside.ts")[0] == 2
    assert codegen(project, "--check", "--watch")[0] == 2
    (project / "app.py").write_text(APP.replace("body: str", "body: strr"))
    code, said = codegen(project)
    assert (code, "app.py:10:11: Note.body: strr is not defined" in said) == (1, True)
    assert not (project / "web").exists()
