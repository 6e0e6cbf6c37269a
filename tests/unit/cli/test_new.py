"""`pylon new` in a terminal: it asks for what it cannot know, and every answer has a flag."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect

from pylon.supervisor.registry import known_projects

COMMAND = [sys.executable, "-m", "pylon", "new"]


def test_it_asks_for_name_and_template(tmp_path: Path) -> None:
    """A name that cannot be is said and asked for again; packages are asked about last."""
    asked = pexpect.spawn(
        COMMAND[0], COMMAND[1:], cwd=str(tmp_path), timeout=60, encoding="utf-8",
        env={**os.environ, "TERM": "xterm"}, dimensions=(24, 80),
    )  # fmt: skip
    asked.expect("name of the project")
    asked.sendline("../out")
    asked.expect("cannot be a project's name")
    asked.expect("name of the project")
    asked.sendline("shop")
    asked.expect("react +React on Vite")
    asked.expect(r"template \[blank\]")
    told = asked.before.splitlines()
    assert max(map(len, told)) < 80, "no word is broken"
    assert any(line.startswith(" " * 11) for line in told), "a long one goes on in the next line"
    asked.sendline("react")
    asked.expect("install its npm packages now")
    asked.sendline("n")
    asked.expect("created shop from the template react")
    asked.expect("cd shop && npm install && ")
    asked.expect(pexpect.EOF)
    asked.wait()
    assert asked.exitstatus == 0
    assert (tmp_path / "shop" / "vite.config.ts").is_file()
    assert not (tmp_path / "shop" / "node_modules").exists()


def test_without_a_terminal_it_asks_nothing(tmp_path: Path) -> None:
    """No name is wrong usage; with it everything else has its default, also as JSON."""
    done = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pylon new NAME" in done.stderr
    done = subprocess.run(
        [*COMMAND, "mine", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"path": str(tmp_path / "mine"), "template": "blank"}
    assert [one.path for one in known_projects()] == [str(tmp_path / "mine")], "at once"


def test_no_npm_is_said_and_the_project_stays(tmp_path: Path) -> None:
    """What was made is there; what to do about the rest is said."""
    done = subprocess.run(
        [*COMMAND, "shop", "-t", "react", "--install"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no npm" in done.stderr
    assert "then run npm install in it" in done.stderr
    assert (tmp_path / "shop" / "app.py").is_file()
