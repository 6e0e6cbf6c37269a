"""Completion scripts: what a press of Tab offers, in real shells where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from pylon.cli.completion import bash_script, fish_script, nodes_of, zsh_script
from pylon.cli.main import cli


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = CliRunner().invoke(cli, ["completion", "bash"])
    assert said.exit_code == 0, said.output
    path = tmp_path_factory.mktemp("bash") / "pylon"
    path.write_text(said.output)
    return path


def _offered(script: Path, lines: list[str]) -> list[list[str]]:
    """Return what bash offers for each line, whose last word is being typed."""
    ask = 'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pylon; echo "${COMPREPLY[@]}"'
    asked = "\n".join(f"COMP_WORDS=({line}); {ask}" for line in lines)
    done = subprocess.run(
        ["bash", "-uc", f"source {script}\n{asked}"], capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_offers_what_may_come_next(bash: Path) -> None:
    """Commands, those below them, options of the command, the values of an option."""
    offered = _offered(
        bash,
        ['pylon exp', 'pylon jobs ""', 'pylon export --form', 'pylon export --format ""',
         'pylon export --where jobs ""', 'pylon users --search jobs rev', 'pylon completion ""',
         'pylon jobs show --js', 'pylon new shop --template re'],
    )  # fmt: skip
    assert offered[0] == ["explain", "export"]
    assert offered[1] == ["cancel", "list", "pause", "resume", "retry", "show"]
    assert offered[2:4] == [["--format"], ["jsonl", "json", "csv"]]
    assert offered[4:6] == [[], ["revoke"]]  # the value of an option is no command
    assert offered[6:] == [["bash", "zsh", "fish"], ["--json"], ["react"]]


@pytest.mark.parametrize("write", [bash_script, zsh_script, fish_script])
def test_every_command_and_option_is_in_every_script(write: object) -> None:
    """Made from the parser: nothing is forgotten."""
    nodes = list(nodes_of(cli))
    script = write(nodes)  # type: ignore[operator]
    assert len(nodes) > 30
    for node in nodes:
        assert f"'{node.path}'" in script or not node.words
        for flag in node.flags:
            assert flag.name in script or f"-l {flag.name[2:]} " in script \
                or f"-s {flag.name[1:]} " in script  # fmt: skip


@pytest.mark.parametrize(("shell", "flag"), [("zsh", "-n"), ("fish", "--no-execute")])
def test_other_shells_take_the_script(shell: str, flag: str, tmp_path: Path) -> None:
    """The shell itself reads its script without a complaint."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    said = CliRunner().invoke(cli, ["completion", shell])
    assert said.exit_code == 0
    path = tmp_path / "script"
    path.write_text(said.output)
    done = subprocess.run([shell, flag, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_wrong_usage() -> None:
    """With the names of those that there are."""
    said = CliRunner().invoke(cli, ["completion", "powershell"])
    assert said.exit_code == 2
    assert "bash" in said.output
