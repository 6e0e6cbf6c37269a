"""The command line: help, wrong words, exit codes, and its table of commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pylon import jsonvalue
from pylon.cli.check import check
from pylon.cli.copies import backup
from pylon.cli.main import COMMANDS, cli
from pylon.cli.output import failure_of, print_json
from pylon.devtools.scaffold import create_project
from pylon.errors import NotFound
from pylon.version import __version__


def _pylon(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pylon", *arguments], capture_output=True, text=True, cwd=cwd,
        stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_the_help_of_its_table(name: str) -> None:
    """The one-line help in the table is the command's own, and `--help` works."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.short_help == COMMANDS[name][2]
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_help_imports_no_command() -> None:
    """`pylon --help` is quick because nothing heavy is loaded."""
    code = (
        "import sys; from pylon.cli.main import cli\n"
        "try: cli.main(['--help'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "heavy = {'textual', 'aiohttp', 'pyparsing'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version() -> None:
    """`--version` prints name and version."""
    assert __version__ in _pylon("--version").stdout


def test_a_slip_names_the_nearest_command(tmp_path: Path) -> None:
    """A word that is neither command nor folder is wrong usage (2)."""
    done = _pylon("chek", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean `pylon check`?" in done.stderr


def test_no_project_is_said_with_what_to_do(tmp_path: Path) -> None:
    """Outside a project a command fails (1) in two lines, without a traceback."""
    done = _pylon("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no app.py" in done.stderr
    assert "pylon new" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_that_need_a_runtime_say_how_to_start_one(tmp_path: Path) -> None:
    """tail, cursors, call and query fail (1) with the way out."""
    (tmp_path / "app.py").write_text("")
    for arguments in (["tail"], ["cursors"], ["call", "x"], ["query", "X"]):
        done = _pylon(*arguments, cwd=tmp_path)
        assert done.returncode == 1, arguments
        assert "pylon dev" in done.stderr


def test_wrong_arguments_are_wrong_usage(tmp_path: Path) -> None:
    """Bad JSON, a bad port, an option that is none: 2."""
    (tmp_path / "app.py").write_text("")
    for arguments in (["call", "x", "{"], ["call", "x", "[]"], ["dev", "--port", "70000"],
                      ["query", "X", "--limit", "0"], ["cursors", "--unseen"],
                      ["tail", "--nope"], ["attach", "ftp://x"], ["tail", "--since", "-1"],
                      ["tail", "-n", "5000"], ["token"]):  # fmt: skip
        done = _pylon(*arguments, cwd=tmp_path)
        assert done.returncode == 2, arguments
        lines = done.stderr.splitlines()
        assert len(lines) == 2, lines
        assert lines[0].startswith("pylon: ")
        assert lines[1] == f"  `pylon {arguments[0]} --help` says how"
    assert "pylon: URL begins with https://" in _pylon("attach", "ftp://x", cwd=tmp_path).stderr
    assert "pylon: no such option" in _pylon("tail", "--nope", cwd=tmp_path).stderr


def test_json_carries_nothing_that_steers(capsys: pytest.CaptureFixture[str]) -> None:
    """C1 controls and direction marks are escaped in JSON as other controls are."""
    print_json({"a\u202e": "\x9b31m\x1b"})
    printed = capsys.readouterr().out
    assert printed == '{"a\\u202e":"\\u009b31m\\u001b"}\n'
    assert jsonvalue.parse(printed.encode()) == {"a\u202e": "\x9b31m\x1b"}


def test_new_then_check(tmp_path: Path) -> None:
    """Both templates make projects without mistakes; an existing folder is left alone."""
    for template in ("blank", "chat"):
        made = _pylon("new", template, "--template", template, "--json", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        checked = _pylon("check", "--json", cwd=tmp_path / template)
        assert '"ok":true' in checked.stdout
    assert _pylon("new", "blank", cwd=tmp_path).returncode == 1
    assert _pylon("new", "../outside", cwd=tmp_path).returncode != 0
    assert not (tmp_path.parent / "outside").exists()


def test_check_prints_every_mistake_with_its_place(tmp_path: Path) -> None:
    """Mistakes go to stderr with file, line and caret; exit 1."""
    (tmp_path / "app.py").write_text(
        "from __future__ import annotations\n"
        "from pylon import App, Entity, Ref, index\n"
        "app = App('x')\n"
        "@app.entity(read='data.nme == null')\n"
        "class A(Entity):\n"
        "    name: str\n"
        "    other: Ref['Nothing']\n"
        "    by_x = index('nam')\n"
    )
    done = _pylon("check", cwd=tmp_path)
    assert done.returncode == 1
    for word in ("nme", "did you mean name?", "Nothing", "nam", "app.py:4", "app.py:7", "app.py:8"):
        assert word in done.stderr, word


def test_check_looks_at_the_settings_too(tmp_path: Path) -> None:
    """What would stop a start is a mistake, also a text that only a part of the runtime reads."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('x')\n")
    for text, word in (("[jobs]\nqueues = ['mail']", "jobs.queues: 'mail' is no queue"),
                       ("[jobs]\nqeues = []", "did you mean jobs.queues?")):  # fmt: skip
        (tmp_path / "pylon.toml").write_text(text)
        done = CliRunner().invoke(check, [str(tmp_path)])
        assert done.exit_code == 1
        assert word in done.output


def test_check_advises_on_mail_templates(tmp_path: Path) -> None:
    """A template that no mail could be made of is named with its line, and stops no start."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('x')\n")
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "foot.txt").write_text("a part that others include\n")
    (mail / "open.txt").write_text("Subject: Hi\n\n{% for one in all %}{{ one }}\n")
    (mail / "poor.txt").write_text("Subject: Hi\n\n{{ name }}\n")
    (mail / "poor.sample.json").write_text('{"nme": "Ada"}')
    done = CliRunner().invoke(check, [str(tmp_path)])
    assert done.exit_code == 0
    assert "mail/open.txt:3: warning: " in done.output
    assert "mail/poor.txt:3: warning: 'name' is undefined [ADVICE]" in done.output
    assert "foot" not in done.output
    (mail / "open.txt").unlink()
    (mail / "poor.sample.json").write_text('{"name": "Ada"}')
    assert "warning" not in CliRunner().invoke(check, [str(tmp_path)]).output


def test_errors_are_one_paragraph_and_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Code, message and hint; nothing that steers a terminal."""
    failure = failure_of(NotFound("there is no \x1b[31mX", hint="look again"))
    assert "NOT_FOUND" in failure.message
    failure.show()
    shown = capsys.readouterr().err
    assert "look again" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("given", [[], ["copy.db", "--to", "file:///tmp"]])
def test_a_backup_goes_to_a_file_or_off_the_machine(given: list[str], tmp_path: Path) -> None:
    """One of the two is named; nothing is made before that is clear."""
    (tmp_path / "app.py").write_text("from pylon import App\napp = App('x')\n")
    done = CliRunner().invoke(backup, [*given, "--project", str(tmp_path)])
    assert done.exit_code == 2
    assert "either a FILE, or --to URL" in done.output
    assert not (tmp_path / ".pylon").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a folder where nobody may write")
def test_a_disk_that_refuses_is_said_without_a_traceback() -> None:
    """Which path, why, and what to do; what else goes wrong keeps its traceback."""
    done = _pylon("new", "shop", cwd=Path("/sys"))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("pylon: /sys/shop: ")
    assert lines[1].strip()


@pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
@pytest.mark.parametrize("words", [("check", "shop"), ("keys",), ("branch", "list")])
def test_a_full_stdout_is_said_without_a_traceback(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A write does not know its file's name; the code is that of a failure, also at the end."""
    create_project(tmp_path, "shop", "blank")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pylon", *words], stdout=full, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, cwd=tmp_path / "shop" if words[0] == "branch" else tmp_path,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2, lines
    assert lines[0] == "pylon: what was to be written was not: No space left on device"


def test_names_and_databases_that_no_disk_takes_are_said(tmp_path: Path) -> None:
    """A name that is too long, and a database that is none."""
    project = create_project(tmp_path, "shop", "blank")
    done = _pylon("backup", "a" * 300, cwd=project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["  choose another name"]
    (project / ".pylon").mkdir()
    (project / ".pylon/app.db").write_bytes(b"no database" * 1_000)
    done = _pylon("users", cwd=project)
    assert done.returncode == 1
    assert done.stderr.startswith("pylon: the database can't be used: file is not a database")
    assert "Traceback" not in done.stderr


def test_a_look_makes_no_database(tmp_path: Path) -> None:
    """A seed that is not there, and a difference of nothing: both say so."""
    project = create_project(tmp_path, "shop", "blank")
    for words, said in ((("seed",), "there is no seed.py"),
                        (("branch", "diff", "main"), "shop has no database yet")):  # fmt: skip
        done = _pylon(*words, cwd=project)
        assert (done.returncode, said in done.stderr) == (1, True), done
    assert not list(project.rglob("*.db"))
