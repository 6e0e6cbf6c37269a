"""What somebody meets who has read one page: slips, folders that are no project, nothing there."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pylon.cli.asking import is_confirmed
from pylon.cli.main import COMMANDS, cli
from pylon.cli.output import CommandFailed
from pylon.cli.sections import SECTIONS
from pylon.devtools.scaffold import create_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def _refused(*arguments: str) -> str:
    done = _run(*arguments)
    assert done.exception is not None
    error = done.exception
    return done.output if isinstance(error, SystemExit) else f"{error}\n{vars(error)}"


def test_above_its_projects_a_command_names_them(here: Path) -> None:
    """After `pylon new` one step is missing, and it is said which."""
    for name in ("shop", "notes"):
        create_project(here, name, "blank")
    assert "cd into notes, shop" in _refused("check")


#: The commands that take one row, with what they need besides.
_OF_A_ROW = (
    ["history"], ["lens"], ["restore-row", "--to", "1"], ["rows", "get"], ["rows", "duplicate"],
)  # fmt: skip
_OF_ROWS = (["rows", "delete"], ["rows", "edit", "--set", "{}"])


def test_a_row_is_written_in_one_form_everywhere(here: Path) -> None:
    """Entity/id, or two words; what is no row is answered with how one is written."""
    create_project(here, "notes", "blank")
    project = ("--project", "notes")
    for command in _OF_A_ROW:
        for right in (["Note", "1"], ["Note/1"], ["Note/a/b"], ["Note", "a/b"]):
            assert "no runtime runs" in _refused(*command, *right, *project), (command, right)
        for wrong in (["Note"], ["Note/1", "2"], ["Note", "1", "2"], ["/1"], ["Note/"], [""]):
            assert "a row is written Entity/id" in _refused(*command, *wrong, *project), wrong
    for command in _OF_ROWS:
        for right in (
            ["Note", "1", "2"],
            ["Note/1"],
            ["Note/1", "Note/2"],
            ["Note", "--where", "1"],
        ):
            assert "no runtime runs" in _refused(*command, *right, *project), (command, right)
        for wrong in (["Note/1", "Task/2"], ["Note/1", "2"], ["Note", ""], ["Note/"]):
            assert "are written Entity/id" in _refused(*command, *wrong, *project), wrong
        assert "each as Entity/id" in _refused(*command, "Note", *project)
    assert "no runtime runs" in _refused("rows", "Note/1", *project)


def test_explain_takes_a_row_in_the_same_form(here: Path) -> None:
    """It answers without a runtime, too; both forms lead to the same row."""
    create_project(here, "notes", "react")
    asked = ("--as", "anonymous", "--action", "delete", "--project", "notes")
    said = [_refused("explain", *row, *asked) for row in (["Note/n1"], ["Note", "n1"])]
    assert "a row is written" not in said[0]
    assert said[0] == said[1]
    assert "a row is written Entity/id, not 'Note'" in _refused("explain", "Note", *asked)


def test_every_command_of_rows_says_the_form() -> None:
    """Where one looks when one does not know it."""
    for command in (["explain"], *_OF_A_ROW, *_OF_ROWS):
        told = " ".join(_run(*command, "--help").stdout.split())
        assert "written Entity/id, such as Note/n1" in told, command


def test_a_project_that_never_ran_has_no_schema_and_says_so(here: Path) -> None:
    """An empty answer has a reason."""
    create_project(here, "notes", "blank")
    _run("users", "--project", "notes")  # it looks only, but a database is there then
    done = _run("schema", "--project", "notes")
    assert done.exit_code == 0
    assert "no entity yet" in done.stderr


def test_one_is_no_plural(here: Path) -> None:
    """What `check` counts is counted in words that fit."""
    create_project(here, "mine", "react")
    assert "mine: 2 entities, 1 function, no mistakes" in _run("check", "mine").stdout


def test_without_a_terminal_the_list_of_projects_is_a_command() -> None:
    """Where there is no project, `pylon dev` would not help."""
    assert "pylon projects" in _refused()


def test_what_was_installed_can_be_uninstalled(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The word of the installers is understood by `pylon desktop`, too."""
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert "nothing was installed" in _run("desktop", "uninstall").stderr


def test_a_setting_is_shown_by_its_name(here: Path) -> None:
    """Its name alone is enough, and a slip is answered with the nearest."""
    create_project(here, "notes", "blank")
    assert "4321" in _run("settings", "server.port", "--project", "notes").stdout
    assert "did you mean server.port?" in _refused("settings", "server.prot", "--project", "notes")


def test_without_a_terminal_no_editor_waits_for_keys(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None was named: the one that would be taken draws on a terminal."""
    create_project(here, "notes", "blank")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    assert "needs a terminal" in _refused("settings", "edit", "--project", "notes")


def test_a_report_that_is_not_there_says_what_to_name(here: Path) -> None:
    """Which file, and which it should be."""
    said = _refused("bug", "show", "nope.zip")
    assert "nope.zip" in said
    assert "pylon bug" in said


def test_the_help_has_each_command_once_below_what_it_is_for() -> None:
    """None is left out, and none stands twice."""
    assert sorted(chain(*SECTIONS.values())) == sorted(COMMANDS)
    said = _run("--help").stdout
    for title, names in SECTIONS.items():
        below = said.partition(f"\n{title}:\n")[2].partition("\n\n")[0].splitlines()
        assert [one.split()[0] for one in below] == list(names), title


def test_an_entity_names_its_rows(here: Path) -> None:
    """`pylon rows Note` is what one tries first; a slip of a command stays one."""
    create_project(here, "notes", "blank")
    assert "no runtime runs" in _refused("rows", "Note", "--limit", "2", "--project", "notes")
    assert "no such command" in _refused("rows", "lst").lower()


def test_where_nobody_answers_consent_is_an_option() -> None:
    """It does not look as if somebody had left."""
    with pytest.raises(CommandFailed, match="consent"), CliRunner().isolation(input=""):
        is_confirmed("do it?")
