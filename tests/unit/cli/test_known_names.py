"""What a press of Tab knows of a project: looked up without Python, and never run by the shell."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pylon.cli import known_names
from pylon.cli.known_names import look
from pylon.cli.main import cli

APP = """
from pylon import App, Entity

app = App("names")
raise SystemExit("no code of the app runs")


@app.entity(
    read="true",
)
class Note(Entity):
    class Inner: ...


class NoEntity(Entity): ...


@app.query(allow="true")
def allNotes(ctx): ...


@app.action
async def fetch(ctx):
    @app.query
    def inner(): ...


@app.mutation(internal=True)
def _hidden(ctx): ...


@app.workflow
async def onboarding(ctx): ...


@app.job()
def clean(ctx): ...
"""
HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "a b", "q'x", 'q"x', "x;touch pwned", "nl\nx", "\x1b[31m",
    "-dash", "*", "~", "é",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with two branches and two backups, and names that none can have."""
    folder = tmp_path / "pro ject's"
    for name in ("lab-1", "try", *HOSTILE):
        (folder / ".pylon/branches" / name).mkdir(parents=True)
    (folder / ".pylon/branches/nofolder").write_text("")
    (folder / ".pylon/backups").mkdir()
    for name in ("b-2026", "before-restore-1", *HOSTILE):
        (folder / f".pylon/backups/{name}.db").write_text("")
    (folder / "app.py").write_text(APP)
    (folder / "more.py").write_text("@main.app.entity\nclass Task(Entity): ...\n")
    return folder


def _looked(kind: str, here: Path, folder: str = "") -> list[str]:
    done = subprocess.run(
        ["sh", "-c", look(), "pylon", kind, folder], cwd=here, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_names_are_found_without_running_the_app(project: Path) -> None:
    """From the folder and from below it; what stands indented, or is no name, is none."""
    below = project / "web"
    below.mkdir()
    for here in (project, below):
        assert _looked("branches", here) == ["main", "lab-1", "try"]
        assert _looked("backups", here) == ["b-2026", "before-restore-1"]
        assert _looked("entities", here) == ["Note", "Task", "User"]
        assert _looked("rows", here) == ["Note/", "Task/", "User/"]
        assert _looked("calls", here) == ["allNotes", "fetch"]
        assert _looked("functions", here) == ["allNotes", "fetch", "onboarding", "clean"]
        assert _looked("workflows", here) == ["onboarding"]
    assert _looked("entities", project.parent, project.name) == ["Note", "Task", "User"]
    for nowhere in (project.parent, Path("/")):
        assert _looked("branches", nowhere) == []
    assert _looked("branches", project, "$(touch pwned)") == []
    assert not list(project.rglob("pwned"))


def test_a_look_has_its_bounds(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many names, files and bytes, whatever the project is."""
    monkeypatch.setattr(known_names, "NAMES_MAX", 1)
    assert _looked("branches", project) == ["main", "lab-1"]
    monkeypatch.setattr(known_names, "FILES_MAX", 1)
    assert _looked("entities", project) == ["Note", "User"]
    monkeypatch.setattr(known_names, "FILES_MAX", 9)
    monkeypatch.setattr(known_names, "BYTES_MAX", APP.index("class Note"))
    assert _looked("entities", project) == ["User"]


def test_every_parameter_that_is_known_is_there() -> None:
    """The table names commands and parameters; a renamed one would not be completed."""
    found: set[tuple[str, str]] = set()

    def walk(command: click.Command, words: tuple[str, ...] = ()) -> None:
        context = click.Context(command)
        found.update((" ".join(words), one.name or "") for one in command.get_params(context))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                walk(below, (*words, name))

    walk(cli)
    assert known_names.kinds_of_commands() <= found
    assert {("query", "entity"), ("explain", "row"), ("rows edit", "named")} <= found


#: Lines that are typed, whose last word is being completed, with what is offered.
LINES = (
    (["branch", "switch", ""], ["main", "lab-1", "try"]),
    (["branch", "diff", "main", "l"], ["lab-1"]),
    (["log", "replay", "1", "2", "--into", "t"], ["try"]),
    (["backups", "verify", ""], ["b-2026", "before-restore-1"]),
    (["explain", "No"], ["Note/"]),
    (["rows", "edit", "Note/a", "T"], ["Task/"]),
    (["rows", "list", ""], ["Note", "Task", "User"]),
    (["tail", "--entity", "T"], ["Task"]),
    (["call", "a"], ["allNotes"]),
    (["workflows", "start", ""], ["onboarding"]),
)


def _script(shell: str, tmp_path: Path) -> Path:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / f"script.{shell}"
    path.write_text(CliRunner().invoke(cli, ["completion", shell]).output)
    return path


def _asked(shell: str, flags: list[str], lines: list[str], here: Path) -> list[list[str]]:
    """Run lines in a shell; each prints what is offered, one a line, and then a line of dashes."""
    text = "\n".join(f"{line}\necho ---" for line in lines)
    done = subprocess.run(
        [shell, *flags, text], cwd=here, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [part.split("\n")[:-1] for part in done.stdout.split("---\n")[:-1]]


def test_bash_offers_what_the_project_has(project: Path, tmp_path: Path) -> None:
    """With a folder that is typed in quotes, too; a place that has no names offers none."""
    script = _script("bash", tmp_path)
    quoted = shlex.quote(str(project))
    elsewhere = ["branch", "switch", "--project", quoted, ""]
    ask = (
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pylon; "
        'printf "%s\\n" ${COMPREPLY+"${COMPREPLY[@]}"}'
    )
    lines = [
        f"COMP_WORDS=(pylon {shlex.join(words)}); {ask}"
        for words in (*(words for words, _ in LINES), elsewhere, ["call", "allNotes", ""],
                      ["branch", "switch", "--project", "$(touch pwned)", ""])
    ]  # fmt: skip
    found = _asked("bash", ["-uc"], [f"source {script}", *lines], project)[1:]
    assert [[one for one in part if one] for part in found] == [
        *(offered for _, offered in LINES), [], [], [],
    ]  # fmt: skip
    plain = tmp_path / "plain"
    project.rename(plain)
    line = f"COMP_WORDS=(pylon branch switch --project '\"{plain}\"' ''); {ask}"
    assert _asked("bash", ["-uc"], [f"source {script}", line], tmp_path)[1] == LINES[0][1]
    assert not list(tmp_path.rglob("pwned"))


def test_fish_offers_what_the_project_has(project: Path, tmp_path: Path) -> None:
    """Asked as fish asks itself."""
    script = _script("fish", tmp_path)
    lines = [f"complete -C {shlex.quote('pylon ' + ' '.join(words))}" for words, _ in LINES]
    found = _asked("fish", ["--no-config", "-c"], [f"source {script}", *lines], project)[1:]
    for part, (words, offered) in zip(found, LINES, strict=True):
        assert {one.split("\t")[0] for one in part} == set(offered), words
    assert not list(tmp_path.rglob("pwned"))


def test_zsh_offers_what_the_project_has(project: Path, tmp_path: Path) -> None:
    """What it gives to the completion system; that itself chooses by what was begun."""
    script = _script("zsh", tmp_path)
    stand_ins = (
        'compdef() { : }; _files() { : }; _describe() { print -rl -- "${(P@)2}" }\n'
        'compadd() { print -rl -- "${(P@)@[-1]}" }'
    )
    lines = [
        f"words=(pylon {shlex.join(words)}); CURRENT=$#words; PREFIX=$words[-1]; _pylon"
        for words, _ in LINES
    ]
    folder = shlex.quote(shlex.quote(str(project)))  # as it is typed, quotes and all
    lines.append(f"words=(pylon branch switch --project {folder} ''); CURRENT=6; PREFIX=; _pylon")
    found = _asked("zsh", ["-fc"], [f"{stand_ins}\nsource {script}", *lines], project)[1:]
    for part, (words, offered) in zip(found, (*LINES, LINES[0]), strict=True):
        assert [one for one in part if one.startswith(words[-1])] == offered, words
    assert not list(tmp_path.rglob("pwned"))
