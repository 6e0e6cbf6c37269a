"""The install scripts: with uv, with pipx, with neither, and where something is in the way."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.installers.machines import bare_python, environment, install_script, programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="install.ps1 is for Windows"),
]
_SCRIPTS = sorted((ROOT / "installers").glob("*.sh"))
#: Makes environments whose own Python cannot install anything.
_PYTHON_WITH_FAILING_PIP = """#!/bin/sh
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  echo '#!/bin/sh' > "$3/bin/python"
  echo 'ENDS' >> "$3/bin/python"
  /bin/chmod +x "$3/bin/python"
fi
"""

#: Has nothing, and installs something that says its version.
_UV = """#!/bin/sh
case $* in
  "tool dir --bin") echo "$HOME/commands" ;;
  "tool install "*)
    mkdir -p "$HOME/commands"
    printf '#!/bin/sh\\necho pylon, version 0\\n' > "$HOME/commands/pylon"
    /bin/chmod +x "$HOME/commands/pylon"
    ;;
esac
"""


def _tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_a_tool_installs_it_and_takes_it_away(tool: str, wheel: Path, tmp_path: Path) -> None:
    """A first run installs, a second one does no harm, and what is taken away is gone."""
    path = programs(tmp_path / "bin", _tool(tool), bare_python(tmp_path / "python"))
    given = environment(tmp_path, path)
    for _ in range(2):
        out, err = install_script(given, "--from", wheel)
        assert out.startswith("pylon, version ")
        assert f"by {tool}" in err
    command = tmp_path / ".local/bin/pylon"
    assert subprocess.run([command, "new", "--list"], env=given, check=False).returncode == 0
    assert f"{command.parent} is not on PATH" in err
    assert f"""echo 'export PATH="{command.parent}:$PATH"' >> ~/.zshrc""" in err
    out, _ = install_script(given, "--uninstall")
    assert f"taken away ({tool})" in out
    assert not command.is_symlink()
    assert not list(tmp_path.glob(".local/share/*/*/pylon-runtime"))
    out, _ = install_script(given, "--uninstall")
    assert "nothing to take away" in out


def test_without_anything_it_says_what_to_get(tmp_path: Path) -> None:
    """No uv, no pipx, no Python: one sentence of what is wrong, and one of what to do."""
    _, err = install_script(environment(tmp_path, programs(tmp_path / "bin")), code=1)
    assert "neither uv, nor pipx, nor a Python of 3.11" in err
    assert "apt install pipx" in err
    assert not (tmp_path / ".local").exists()


def test_an_old_python_is_not_taken(wheel: Path, tmp_path: Path) -> None:
    """A Python that says that it is too old is passed over, also with pipx."""
    old = tmp_path / "old" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    path = programs(tmp_path / "bin", _tool("pipx"), old)
    _, err = install_script(environment(tmp_path, path), "--from", wheel, code=1)
    assert "pipx is there, but no Python of 3.11 or newer" in err


def test_a_program_in_the_way_is_left_alone(wheel: Path, tmp_path: Path) -> None:
    """Another program of the name is neither overwritten nor hidden."""
    path = programs(tmp_path / "bin", bare_python(tmp_path / "python"))
    other = tmp_path / ".local/bin/pylon"
    other.parent.mkdir(parents=True)
    other.write_text("another")
    _, err = install_script(environment(tmp_path, path), "--from", wheel, code=1)
    assert f"{other} is another program's" in err
    assert other.read_text() == "another"
    assert not (tmp_path / ".local/share").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--from"], "--from needs a value"),
        (["--sideways"], "--sideways is no option"),
        (["--with", "conda"], "uv, pipx or venv, not conda"),
        (["--from", "pylon-runtime", "--version", "1"], "both say what to install"),
    ],
)
def test_wrong_usage_is_said(words: list[str], complaint: str, tmp_path: Path) -> None:
    """Exit code 2, what is wrong, and where to read on."""
    _, err = install_script(environment(tmp_path, programs(tmp_path / "bin")), *words, code=2)
    assert complaint in err
    assert "--help" in err


def test_a_container_has_no_shell_of_the_user(tmp_path: Path) -> None:
    """Where SHELL is not set the line for any shell is said, and it ends well."""
    uv = tmp_path / "uv"
    uv.write_text(_UV)
    uv.chmod(0o755)
    given = environment(tmp_path, programs(tmp_path / "bin", uv))
    del given["SHELL"]
    out, err = install_script(given, "--from", "pylon-runtime")
    assert out == "pylon, version 0\n"
    assert err.splitlines()[-2].endswith(">> ~/.profile")


def test_a_wheel_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Before anything is installed."""
    given = environment(tmp_path, programs(tmp_path / "bin"))
    _, err = install_script(given, "--from", "./nowhere.whl", code=1)
    assert "there is no ./nowhere.whl" in err


def _with_failing_pip(folder: Path, ends: str) -> dict[str, str]:
    """Return the environment of somebody whose pip ends by a line of shell."""
    python = folder / "python" / "python3"
    python.parent.mkdir()
    python.write_text(_PYTHON_WITH_FAILING_PIP.replace("ENDS", ends))
    python.chmod(0o755)
    return environment(folder, programs(folder / "bin", python))


def _is_of_before(installed: Path) -> bool:
    """Tell whether an installation is there as it was, and nothing beside it."""
    names = [one.name for one in installed.parent.iterdir()]
    return names == [installed.name] and (installed / "pyvenv.cfg").read_text() == "of before"


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        ("echo no such version >&2; exit 1", 1, "no such version"),
        ("kill -TERM $PPID", 130, "installing"),
    ],
)
def test_what_did_not_install_leaves_what_was_there(
    ends: str, code: int, said: str, tmp_path: Path
) -> None:
    """Where pip fails or somebody breaks it off, the older installation is as it was."""
    given = _with_failing_pip(tmp_path, ends)
    before = tmp_path / ".local/share/pylon-runtime"
    before.mkdir(parents=True)
    (before / "pyvenv.cfg").write_text("of before")
    _, err = install_script(given, "--version", "99.0", code=code)
    assert said in err
    assert ("pip could not install pylon-runtime==99.0" in err) is (code == 1)
    assert _is_of_before(before)


def test_what_a_killed_run_moved_away_is_not_lost(tmp_path: Path) -> None:
    """The next run begins with what was there before the killed one, and leaves it so."""
    given = _with_failing_pip(tmp_path, "exit 1")
    installed = tmp_path / ".local/share/pylon-runtime"
    before = installed.with_name("pylon-runtime.before")
    for folder, words in ((installed, "half of it"), (before, "of before")):
        folder.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text(words)
    install_script(given, "--version", "99.0", code=1)
    assert _is_of_before(installed)


@pytest.mark.parametrize(
    ("note", "is_gone"), [(None, True), ("uv-receipt.toml", False), ("pipx_metadata.json", False)]
)
def test_what_was_installed_below_another_data_folder_is_found(
    note: str | None, is_gone: bool, tmp_path: Path
) -> None:
    """The command says where: XDG_DATA_HOME was another then. What others made is theirs."""
    given = environment(tmp_path, programs(tmp_path / "bin"))
    installed, link = tmp_path / "data/pylon-runtime", tmp_path / ".local/bin/pylon"
    for folder in (installed / "bin", link.parent):
        folder.mkdir(parents=True)
    (installed / "pyvenv.cfg").touch()
    (installed / "bin/pylon").touch()
    if note is not None:
        (installed / note).touch()
    link.symlink_to(installed / "bin/pylon")
    out, _ = install_script(given, "--uninstall")
    assert ("taken away (venv)" in out) is is_gone
    assert ("nothing to take away" in out) is not is_gone
    assert installed.exists() is link.is_symlink() is not is_gone
    assert link.parent.exists()


@pytest.mark.parametrize("shell", ["fish", "zsh", "bash", "sh"])
def test_the_line_for_the_path_has_the_folder_as_one_word(shell: str, tmp_path: Path) -> None:
    """Also of somebody whose home has a space in its name."""
    script = (ROOT / "installers" / "install.sh").read_text().removesuffix('main "$@"\n')
    folder = tmp_path / "my home" / "bin"
    said = subprocess.run(
        ["/bin/sh", "-c", f"{script}\ncommands=$1\nsay_path", "sh", str(folder)],
        env={"PATH": "/usr/bin:/bin", "SHELL": f"/usr/bin/{shell}"}, capture_output=True, text=True,
        check=True,
    ).stderr  # fmt: skip
    line = said.split("what to do: ")[1].splitlines()[0]
    words = shlex.split(line)
    assert words == ["fish_add_path", str(folder)] if shell == "fish" else (
        words[:2] == ["echo", f'export PATH="{folder}:$PATH"']
    )  # fmt: skip


def test_shell_scripts_are_clean() -> None:
    """By shellcheck, as scripts of the strictest shell."""
    done = subprocess.run(
        [_tool("shellcheck"), *_SCRIPTS], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_powershell_script_can_be_read() -> None:
    """By a grammar of PowerShell; Windows is not here to run it."""
    import tree_sitter
    import tree_sitter_powershell

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    text = (ROOT / "installers/install.ps1").read_bytes()
    assert not parser.parse(text).root_node.has_error
    assert parser.parse(text.replace(b"exit 1\n}", b"exit 1\n", 1)).root_node.has_error
