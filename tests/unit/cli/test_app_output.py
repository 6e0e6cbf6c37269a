"""What app.py prints is talk: a command's stdout has its data and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kept import pylon

LOUD = """
import atexit
import os
import subprocess
import sys

from pylon import App, Entity

print("as it is imported", end="")
os.write(1, b"past Python")
subprocess.run(["echo", "from a process"], check=True)
atexit.register(print, "at the end")
print("not flushed", end="", file=sys.__stdout__)

app = App("loud")


@app.entity(read="true", insert="true")
class Note(Entity):
    text: str
"""
SAID = ("as it is imported", "past Python", "from a process", "at the end", "not flushed")


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    """Return a project that prints wherever it can, without a line's end."""
    folder = tmp_path / "loud"
    (folder / "migrations").mkdir(parents=True)
    (folder / "app.py").write_text(LOUD)
    (folder / "migrations/0001_first.py").write_text(
        "def migrate(ctx):\n    print('in a migration', end='')\n"
        "    ctx.db.insert('Note', text='a')\n"
    )
    (folder / "seed.py").write_text("def seed(ctx):\n    print('in the seed', end='')\n")
    return folder


def test_stdout_is_what_the_command_tells(loud: Path) -> None:
    """As JSON, whatever the app prints; that is to be read on stderr."""
    place = str(loud)
    for words in (
        ("migrate", place, "--json"), ("migrate", place, "--apply", "--json"),
        ("check", place, "--json"), ("policies", place, "--json"),
        ("seed", "--project", place, "--json"),
        ("explain", "Note/n1", "--as", "anonymous", "--action", "insert", "--set", '{"text":"a"}',
         "--project", place, "--json"),
    ):  # fmt: skip
        done = pylon(*words)
        assert isinstance(json.loads(done.stdout), dict), words
        for said in SAID:
            assert said in done.stderr, (words, said)
        if "--apply" in words:
            assert "in a migration" in done.stderr
        if "seed" in words:
            assert "in the seed" in done.stderr
    done = pylon("codegen", place, "--out", "types.ts")
    assert done.stdout == ""
    assert "at the end" in done.stderr


def test_a_command_without_stdout_runs_all_the_same(loud: Path) -> None:
    """Where whoever started it has closed that."""
    import subprocess
    import sys

    line = f"exec {sys.executable} -m pylon check {loud} >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
